// The files of a run as a tree of folders, and which of its rows are shown.

import type { ArtifactRef } from '../../api/schema.js';

/** A folder, or a file when it has an artifact. */
export interface INode {
  name: string;
  path: string;
  artifact: ArtifactRef | null;
  children: INode[];
  /** Of all files below. */
  size: number;
}

/** A row of the tree; `level` counts from 1. */
export interface IRow {
  node: INode;
  level: number;
}

/** Folders first, then files, each by name. */
export function buildTree(artifacts: readonly ArtifactRef[]): INode[] {
  const root = folder('', '');
  const folders = new Map<string, INode>([['', root]]);
  for (const artifact of artifacts) {
    const names = artifact.path.split('/');
    const name = names.pop() ?? '';
    let at = root;
    let path = '';
    root.size += artifact.size_bytes;
    for (const each of names) {
      path += `${each}/`;
      let next = folders.get(path);
      if (next === undefined) {
        next = folder(each, path);
        folders.set(path, next);
        at.children.push(next);
      }
      next.size += artifact.size_bytes;
      at = next;
    }
    at.children.push({
      name,
      path: artifact.path,
      artifact,
      children: [],
      size: artifact.size_bytes
    });
  }
  for (const each of folders.values()) {
    each.children.sort(
      (a, b) =>
        Number(a.artifact !== null) - Number(b.artifact !== null) || a.name.localeCompare(b.name)
    );
  }
  return root.children;
}

/** What is to be seen when these folders are open, from top to bottom. */
export function listRows(nodes: readonly INode[], open: ReadonlySet<string>, level = 1): IRow[] {
  return nodes.flatMap(node => [
    { node, level },
    ...(open.has(node.path) ? listRows(node.children, open, level + 1) : [])
  ]);
}

function folder(name: string, path: string): INode {
  return { name, path, artifact: null, children: [], size: 0 };
}
