// The tree of a run's files, as in the ARIA authoring practices: arrows move, Enter shows.

import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactElement } from 'react';
import type { ArtifactRef } from '../../api/schema.js';
import { Icon } from '../../components/icons.js';
import { formatBytes, formatNumber, type ITranslation } from '../../format.js';
import { buildTree, listRows, type INode } from './files.js';

const SHOWN_ROWS = 500;
const OPEN_FILES = 100; // of a run with so many, folders are open from the start

/** Choose one of the files. */
export function FileTree(props: {
  artifacts: readonly ArtifactRef[];
  chosen: string | null;
  onChoose: (artifact: ArtifactRef) => void;
  trans: ITranslation;
}): ReactElement {
  const { artifacts, trans } = props;
  const tree = useMemo(() => buildTree(artifacts), [artifacts]);
  const [open, setOpen] = useState<ReadonlySet<string>>(() =>
    artifacts.length <= OPEN_FILES ? foldersOf(tree) : new Set()
  );
  const [limit, setLimit] = useState(SHOWN_ROWS);
  const [current, setCurrent] = useState('');
  const rows = useMemo(() => listRows(tree, open), [tree, open]);
  const shown = rows.slice(0, limit);
  const at = Math.max(
    0,
    shown.findIndex(({ node }) => node.path === current)
  );
  const list = useRef<HTMLDivElement>(null);
  const isMoving = useRef(false);
  useEffect(() => {
    if (isMoving.current) {
      isMoving.current = false;
      list.current?.querySelectorAll<HTMLElement>('[role="treeitem"]')[at]?.focus();
    }
  }, [at]);

  const toggle = (node: INode, isOpen: boolean): void => {
    const next = new Set(open);
    if (isOpen) {
      next.add(node.path);
    } else {
      next.delete(node.path);
    }
    setOpen(next);
  };
  const activate = (node: INode): void => {
    setCurrent(node.path);
    if (node.artifact) {
      props.onChoose(node.artifact);
    } else {
      toggle(node, !open.has(node.path));
    }
  };
  const move = (to: number): void => {
    const row = shown[Math.min(Math.max(to, 0), shown.length - 1)];
    if (row && row.node.path !== shown[at]?.node.path) {
      isMoving.current = true;
      setCurrent(row.node.path);
    }
  };
  const moveOut = (level: number): void => {
    for (let above = at - 1; above >= 0; above--) {
      if ((shown[above]?.level ?? 0) < level) {
        return move(above);
      }
    }
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const row = shown[at];
    if (row === undefined || event.ctrlKey || event.altKey || event.metaKey) {
      return;
    }
    const { node, level } = row;
    const isFolder = node.artifact === null;
    const keys: Record<string, () => void> = {
      ArrowDown: () => move(at + 1),
      ArrowUp: () => move(at - 1),
      Home: () => move(0),
      End: () => move(shown.length - 1),
      ArrowRight: () => isFolder && (open.has(node.path) ? move(at + 1) : toggle(node, true)),
      ArrowLeft: () => (isFolder && open.has(node.path) ? toggle(node, false) : moveOut(level)),
      Enter: () => activate(node),
      ' ': () => activate(node)
    };
    const action = keys[event.key];
    if (action) {
      event.preventDefault();
      action();
    }
  };

  return (
    <div className="jp-MelleaFiles">
      <div role="tree" aria-label={trans.__('Files')} ref={list} onKeyDown={onKeyDown}>
        {shown.map(({ node, level }, index) => (
          <div
            key={node.path}
            role="treeitem"
            aria-level={level}
            aria-expanded={node.artifact ? undefined : open.has(node.path)}
            aria-selected={node.artifact !== null && node.artifact.id === props.chosen}
            tabIndex={index === at ? 0 : -1}
            title={node.path}
            style={{ paddingInlineStart: `${level * 14 - 8}px` }}
            onClick={() => activate(node)}
          >
            {node.artifact ? null : <Icon name={open.has(node.path) ? 'down' : 'right'} />}
            <span className="jp-MelleaFiles-name">
              {node.name}
              {node.artifact ? '' : '/'}
            </span>
            <span className="jp-MelleaFiles-type">{node.artifact?.content_type}</span>
            <span className="jp-MelleaFiles-size">{formatBytes(node.size)}</span>
          </div>
        ))}
      </div>
      {shown.length < rows.length && (
        <button
          type="button"
          className="jp-MelleaButton jp-mod-link"
          onClick={() => setLimit(limit + SHOWN_ROWS)}
        >
          {trans.__('Show more, %1 are left', formatNumber(rows.length - shown.length))}
        </button>
      )}
    </div>
  );
}

function foldersOf(nodes: readonly INode[]): Set<string> {
  return new Set(
    nodes.flatMap(node => (node.artifact ? [] : [node.path, ...foldersOf(node.children)]))
  );
}
