import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { ApiError, type RunsApi } from '../../src/api/rest.js';
import type { ArtifactPreview } from '../../src/api/schema.js';
import { frameDocument } from '../../src/panels/run/frame.js';
import { Preview } from '../../src/panels/run/preview.js';
import { makeArtifact, makePreview, trans } from '../helpers.js';

afterEach(cleanup);

function show(read: () => Promise<ArtifactPreview>, path = 'plan.txt'): HTMLElement {
  const api = { previewArtifact: read, artifactUrl: () => '/raw' };
  const { container } = render(
    <Preview artifact={makeArtifact({ path })} api={api as unknown as RunsApi} trans={trans} />
  );
  return container;
}

const given = (change: Partial<ArtifactPreview>) => async () => makePreview(change);

test('text is text, also where it looks like markup', async () => {
  const host = show(given({ text: '<b>&amp;</b>', truncated: true, shown_bytes: 262_144 }));
  expect(host.textContent).toBe('Loading…');
  await waitFor(() => expect(host.querySelector('pre')?.textContent).toBe('<b>&amp;</b>'));
  expect(host.querySelector('b')).toBeNull();
  expect(screen.getByText(/^Showing the first 262.kB\.$/)).toBeDefined();
});

test('an empty file says so', async () => {
  show(given({ text: '' }));
  await waitFor(() => expect(screen.getByText('The file is empty.')).toBeDefined());
  cleanup();
  show(given({ kind: 'table', text: null, rows: [] }));
  await waitFor(() => expect(screen.getByText('The file is empty.')).toBeDefined());
});

test('JSON is a tree that draws only what is open', async () => {
  const host = show(given({ kind: 'json', text: '{"a":[{"deep":{"deeper":1}}]}' }));
  await waitFor(() => expect(screen.getByText('a:')).toBeDefined());
  expect(host.textContent).not.toContain('deeper');
});

test('a table has its cells as texts', async () => {
  const host = show(given({ kind: 'table', text: null, rows: [['n'], ['=1+1'], ['<i>x</i>']] }));
  await waitFor(() => expect(screen.getByRole('columnheader', { name: 'n' })).toBeDefined());
  expect(screen.getByText('=1+1')).toBeDefined();
  expect(host.querySelector('i')).toBeNull();
});

test('HTML is in a frame that may do nothing', async () => {
  const host = show(given({ kind: 'html', text: '<p onclick="x()">hi</p><script>y()</script>' }));
  await waitFor(() => expect(host.querySelector('iframe')).not.toBeNull());
  const frame = host.querySelector('iframe') as HTMLIFrameElement;
  expect(frame.getAttribute('sandbox')).toBe('');
  expect(frame.srcdoc).toContain('<p onclick="x()">hi</p>');
  expect(frame.srcdoc).not.toContain('<script');
});

test('SVG is only ever a picture, other pictures come from the download', async () => {
  let host = show(given({ kind: 'svg', text: '<svg><script>x()</script>#</svg>' }));
  await waitFor(() => expect(host.querySelector('img')).not.toBeNull());
  const source = host.querySelector('img')?.getAttribute('src') ?? '';
  expect(source.startsWith('data:image/svg+xml')).toBe(true);
  expect(decodeURIComponent(source.split(',')[1] ?? '')).toContain('#</svg>');
  expect(host.querySelector('svg, script')).toBeNull();
  cleanup();
  host = show(given({ kind: 'image', text: null }));
  await waitFor(() => expect(host.querySelector('img')?.getAttribute('src')).toBe('/raw'));
  fireEvent.error(host.querySelector('img') as HTMLElement);
  expect(screen.getByText('The file is not the picture that its name says.')).toBeDefined();
});

test.each([
  ['binary', /no text and no picture/],
  ['too_large', /Too large/],
  ['secrets_gone', /secrets that would have to be hidden/],
  ['new', /^No preview\.$/]
])('%s is a reason for no preview', async (reason, text) => {
  show(given({ kind: 'none', text: null, truncated: true, reason }));
  await waitFor(() => expect(screen.getByText(text)).toBeDefined());
  expect(screen.queryByText(/Showing/)).toBeNull();
});

test('what has expired can not be tried again, other failures can', async () => {
  const body = { message: 'It expired', hint: '', details: {}, request_id: '' };
  show(async () => Promise.reject(new ApiError(410, { code: 'expired', ...body })));
  await waitFor(() => expect(screen.getByRole('alert').textContent).toBe('It expired'));
  cleanup();
  const read = vi.fn(given({}));
  read.mockRejectedValueOnce(new ApiError(503, { code: 'busy', ...body }));
  const host = show(read);
  await waitFor(() => expect(screen.getByRole('alert')).toBeDefined());
  fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
  await waitFor(() => expect(host.querySelector('pre')?.textContent).toBe('hello'));
});

test.each([
  '<img src="http://evil/x" srcset="http://evil/y 2x">',
  '<link rel="dns-prefetch" href="//evil">',
  '<meta http-equiv="refresh" content="0;url=http://evil">',
  '<base href="http://evil/">',
  '<a href="http://evil" ping="http://evil">x</a>',
  '<svg><a xlink:href="http://evil"><text>x</text></a><image href="http://evil"/></svg>',
  '<form action="http://evil"><button formaction="http://evil">x</button></form>',
  '<iframe srcdoc="<img src=http://evil>"></iframe><embed src="http://evil">',
  '<object data="http://evil"></object><video poster="http://evil" src="http://evil"></video>',
  '<template><img src="http://evil"></template>',
  '<body background="http://evil">'
])('no address is left in %s', html => {
  expect(frameDocument(html)).not.toContain('evil');
});

test('the policy comes first, and what is in the document stays', () => {
  const made = frameDocument(
    '<!doctype html><html><head><style>p{}</style></head><p id="a"><a href="#a">x</a>' +
      '<img src="data:image/png;base64,AA==">'
  );
  expect(made).toMatch(/^<!doctype html><html><head><meta http-equiv="Content-Security-Policy"/);
  expect(made).toContain("default-src 'none'");
  expect(made).toContain('href="#a"');
  expect(made).toContain('src="data:image/png');
  expect(made).toContain('<style>p{}</style>');
});
