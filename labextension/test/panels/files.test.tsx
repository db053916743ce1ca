import { cleanup, fireEvent, render, screen } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import type { ArtifactRef } from '../../src/api/schema.js';
import { FileTree } from '../../src/panels/run/FileTree.js';
import { buildTree, listRows } from '../../src/panels/run/files.js';
import { makeArtifact, trans } from '../helpers.js';

afterEach(cleanup);

const FILES = ['b.txt', 'a/z.txt', 'a/deep/x.txt', 'a.txt'].map(path => makeArtifact({ path }));

function show(artifacts: ArtifactRef[] = FILES) {
  const onChoose = vi.fn();
  render(<FileTree artifacts={artifacts} chosen={null} onChoose={onChoose} trans={trans} />);
  return onChoose;
}

const names = (): (string | undefined)[] =>
  screen.getAllByRole('treeitem').map(item => item.getAttribute('title') ?? undefined);

const press = (key: string): void => {
  fireEvent.keyDown(document.activeElement as Element, { key });
};

test('folders come first and have the size of what is in them', () => {
  const tree = buildTree(FILES);
  expect(tree.map(node => [node.path, node.size])).toEqual([
    ['a/', 24],
    ['a.txt', 12],
    ['b.txt', 12]
  ]);
  expect(listRows(tree, new Set(['a/'])).map(row => [row.node.path, row.level])).toEqual([
    ['a/', 1],
    ['a/deep/', 2],
    ['a/z.txt', 2],
    ['a.txt', 1],
    ['b.txt', 1]
  ]);
});

test('a file and a folder of the same name are two', () => {
  const same = [makeArtifact({ path: 'a' }), makeArtifact({ path: 'A' })];
  expect(buildTree(same)).toHaveLength(2);
});

test('arrows move, open and close, Enter chooses', () => {
  const onChoose = show();
  expect(names()).toEqual(['a/', 'a/deep/', 'a/deep/x.txt', 'a/z.txt', 'a.txt', 'b.txt']);
  const items = screen.getAllByRole('treeitem');
  expect(items.map(item => item.tabIndex)).toEqual([0, -1, -1, -1, -1, -1]);
  items[0]?.focus();
  press('ArrowDown');
  expect(document.activeElement?.getAttribute('title')).toBe('a/deep/');
  press('ArrowLeft');
  expect(names()).toEqual(['a/', 'a/deep/', 'a/z.txt', 'a.txt', 'b.txt']);
  press('ArrowRight');
  press('ArrowRight');
  expect(document.activeElement?.getAttribute('title')).toBe('a/deep/x.txt');
  expect(onChoose).not.toHaveBeenCalled();
  press('Enter');
  expect(onChoose).toHaveBeenCalledWith(FILES[2]);
  press('ArrowLeft');
  expect(document.activeElement?.getAttribute('title')).toBe('a/deep/');
  press('End');
  expect(document.activeElement?.getAttribute('title')).toBe('b.txt');
  press('Home');
  press('Enter');
  expect(names()).toEqual(['a/', 'a.txt', 'b.txt']);
});

test('thousands of files are drawn in portions, their folders closed', () => {
  show(Array.from({ length: 1200 }, (_, n) => makeArtifact({ path: `${n}.txt` })));
  expect(screen.getAllByRole('treeitem')).toHaveLength(500);
  fireEvent.click(screen.getByRole('button', { name: /are left/ }));
  expect(screen.getAllByRole('treeitem')).toHaveLength(1000);
  cleanup();
  show(Array.from({ length: 120 }, (_, n) => makeArtifact({ path: `d/${n}.txt` })));
  expect(names()).toEqual(['d/']);
});
