import { cleanup, render, screen } from '@testing-library/react';
import { afterEach, expect, test } from 'vitest';
import { Late } from '../../src/components/late.js';
import type { ITranslation } from '../../src/format.js';
import { trans } from '../helpers.js';

afterEach(cleanup);

interface IWords {
  text: string;
  trans: ITranslation;
}

const loud = async () => (props: IWords) => <b>{props.text.toUpperCase()}</b>;
const long = async () => (props: { length: number; trans: ITranslation }) => <i>{props.length}</i>;
const broken = () => Promise.reject(new Error('no such file'));

test('a part that takes another one’s place never gets its properties', async () => {
  const shown = render(<Late load={loud} with={{ text: 'calls', trans }} />);
  expect(screen.getByText('Loading…')).toBeTruthy();
  expect(await screen.findByText('CALLS')).toBeTruthy();
  shown.rerender(<Late load={long} with={{ length: 3, trans }} />);
  expect(await screen.findByText('3')).toBeTruthy();
  shown.rerender(<Late load={broken} with={{ trans }} />);
  expect((await screen.findByRole('alert')).textContent).toContain('could not be loaded');
  shown.rerender(<Late load={loud} with={{ text: 'again', trans }} />);
  expect(await screen.findByText('AGAIN')).toBeTruthy();
});

test('what stands above a page takes no room while it loads, and says when it is missing', async () => {
  const shown = render(<Late load={loud} isQuiet with={{ text: 'failed', trans }} />);
  expect(shown.container.textContent).toBe('');
  expect(await screen.findByText('FAILED')).toBeTruthy();
  shown.rerender(<Late load={broken} isQuiet with={{ trans }} />);
  expect((await screen.findByRole('alert')).textContent).toContain('could not be loaded');
});
