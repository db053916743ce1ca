// What stands above a log: filters, search, follow, wrap, time, download.

import { useEffect, useState, type ReactElement, type RefObject } from 'react';
import { Icon } from '../components/icons.js';
import { formatNumber, type ITranslation } from '../format.js';
import type { LogFrame } from '../api/schema.js';
import type { LogModel } from './core/model.js';

const SEARCH_PAUSE_MS = 250;
const LEVELS: readonly LogFrame['level'][] = ['debug', 'info', 'warn', 'error'];

interface ILogToolbarProps {
  model: LogModel;
  trans: ITranslation;
  searchBox: RefObject<HTMLInputElement>;
  firstLine: () => number;
  isWrapped: boolean;
  onWrap: (isWrapped: boolean) => void;
  hasTime: boolean;
  onTime: (hasTime: boolean) => void;
  downloadUrl: string | null;
}

/** The bar of a log viewer. */
export function LogToolbar(props: ILogToolbarProps): ReactElement {
  const { model, trans } = props;
  const { streams, levels } = model.filter;
  return (
    <div className="jp-MelleaLog-toolbar" role="toolbar" aria-label={trans.__('Log')}>
      <select
        className="jp-mod-styled"
        aria-label={trans.__('Stream')}
        value={streams[0] ?? ''}
        onChange={event =>
          void model.setFilter({
            levels,
            streams: event.target.value ? [event.target.value as LogFrame['stream']] : []
          })
        }
      >
        <option value="">{trans.__('All streams')}</option>
        <option value="stdout">stdout</option>
        <option value="stderr">stderr</option>
        <option value="system">system</option>
      </select>
      <select
        className="jp-mod-styled"
        aria-label={trans.__('Level')}
        value={levels[0] ?? ''}
        onChange={event =>
          void model.setFilter({
            streams,
            levels: event.target.value
              ? LEVELS.slice(LEVELS.indexOf(event.target.value as LogFrame['level']))
              : []
          })
        }
      >
        <option value="">{trans.__('All levels')}</option>
        <option value="info">{trans.__('info and above')}</option>
        <option value="warn">{trans.__('warnings and errors')}</option>
        <option value="error">{trans.__('errors')}</option>
      </select>
      <SearchBox {...props} />
      <label>
        <input
          type="checkbox"
          checked={model.isFollowing}
          onChange={event => model.setFollowing(event.target.checked)}
        />
        {trans.__('Follow')}
      </label>
      <label>
        <input
          type="checkbox"
          checked={props.isWrapped}
          onChange={event => props.onWrap(event.target.checked)}
        />
        {trans.__('Wrap')}
      </label>
      <label>
        <input
          type="checkbox"
          checked={props.hasTime}
          onChange={event => props.onTime(event.target.checked)}
        />
        {trans.__('Time')}
      </label>
      {props.downloadUrl !== null && (
        <a
          className="jp-MelleaButton jp-mod-icon"
          href={props.downloadUrl}
          download
          aria-label={trans.__('Download logs')}
          title={trans.__('Download logs')}
        >
          <Icon name="download" />
        </a>
      )}
    </div>
  );
}

function SearchBox({ model, trans, searchBox, firstLine }: ILogToolbarProps): ReactElement {
  const [text, setText] = useState('');
  useEffect(() => {
    if (text === (model.search?.text ?? '')) {
      return;
    }
    const timer = window.setTimeout(() => void model.find(text, firstLine()), SEARCH_PAUSE_MS);
    return () => window.clearTimeout(timer);
  }, [model, text, firstLine]);
  const hasHits = (model.search?.count ?? 0) > 0;
  return (
    <span className="jp-MelleaLog-search">
      <input
        ref={searchBox}
        className="jp-mod-styled"
        type="search"
        placeholder={trans.__('Search…')}
        aria-label={trans.__('Search the log')}
        value={text}
        onChange={event => setText(event.target.value)}
        onKeyDown={event => {
          if (event.key === 'Enter') {
            event.preventDefault();
            if (model.search?.text !== text) {
              void model.find(text, firstLine());
            } else {
              void (event.shiftKey ? model.findPrevious() : model.findNext());
            }
          } else if (event.key === 'Escape') {
            setText('');
          }
        }}
      />
      <span className="jp-MelleaLog-hits" role="status">
        {hitsText(model, trans)}
      </span>
      <button
        type="button"
        className="jp-MelleaButton jp-mod-icon"
        disabled={!hasHits}
        aria-label={trans.__('Previous hit')}
        title={trans.__('Previous hit')}
        onClick={() => void model.findPrevious()}
      >
        <Icon name="up" />
      </button>
      <button
        type="button"
        className="jp-MelleaButton jp-mod-icon"
        disabled={!hasHits}
        aria-label={trans.__('Next hit')}
        title={trans.__('Next hit')}
        onClick={() => void model.findNext()}
      >
        <Icon name="down" />
      </button>
    </span>
  );
}

function hitsText(model: LogModel, trans: ITranslation): string {
  const { search } = model;
  if (search === null) {
    return '';
  }
  if (model.isSearching) {
    return trans.__('searching…');
  }
  if (search.count === 0) {
    return trans.__('no hit');
  }
  const count = formatNumber(search.count) + (search.isComplete ? '' : '+');
  return trans.__('%1/%2', formatNumber(search.position + 1), count);
}
