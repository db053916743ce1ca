// The source that ran, read-only.

import type { IDisposable } from '@lumino/disposable';
import { useEffect, useRef, useState, type ReactElement } from 'react';
import type { LabApi } from '../../api/lab.js';
import type { SourceFile, SourceReply } from '../../api/schema.js';
import { formatBytes, type ITranslation } from '../../format.js';

/** Draws `text` read-only into `host`, `line` in view and selected; `path` tells the language. */
export type SourceEditor = (
  host: HTMLElement,
  text: string,
  path: string,
  line: number | null
) => IDisposable;

/** A line of the program. */
export interface ISourcePlace {
  /** Relative to the program's folder. */
  file: string;
  /** From 1. */
  line: number;
}

interface ISourceProps {
  runId: string;
  /** What to show first; null for the beginning. */
  place: ISourcePlace | null;
  api: LabApi;
  editor: SourceEditor | null;
  trans: ITranslation;
}

/** A file that was picked while this place was shown. */
interface IChosen {
  path: string;
  place: ISourcePlace | null;
}

/** The tab. */
export function SourceTab({ runId, place, api, editor, trans }: ISourceProps): ReactElement {
  const [source, setSource] = useState<SourceReply | null>(null);
  const [error, setError] = useState('');
  const [chosen, setChosen] = useState<IChosen | null>(null);
  useEffect(() => {
    let isCurrent = true;
    api.getSource(runId).then(
      found => {
        if (isCurrent) {
          setSource(found);
        }
      },
      (failure: Error) => isCurrent && setError(failure.message)
    );
    return () => {
      isCurrent = false;
    };
  }, [api, runId]);
  if (source === null) {
    return (
      <div className="jp-MelleaRun-tab">
        <p role={error ? 'alert' : undefined}>{error || trans.__('Loading…')}</p>
      </div>
    );
  }
  const path = chosen?.place === place ? chosen.path : (place?.file ?? source.entry_point);
  const file = source.files.find(each => each.path === path) ?? source.files[0];
  return (
    <div className="jp-MelleaRun-source">
      {source.files.length > 1 && (
        <select
          className="jp-mod-styled"
          aria-label={trans.__('File')}
          value={file?.path}
          onChange={event => setChosen({ path: event.target.value, place })}
        >
          {source.files.map(each => (
            <option key={each.path}>{each.path}</option>
          ))}
        </select>
      )}
      {file && (
        <FileText
          key={file.path}
          file={file}
          line={place?.file === file.path ? place.line : null}
          editor={editor}
          trans={trans}
        />
      )}
    </div>
  );
}

function FileText(props: {
  file: SourceFile;
  line: number | null;
  editor: SourceEditor | null;
  trans: ITranslation;
}): ReactElement {
  const { file, line, editor, trans } = props;
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (host.current === null || editor === null || file.text === null) {
      return;
    }
    const drawn = editor(host.current, file.text, file.path, line);
    return () => drawn.dispose();
  }, [editor, file, line]);
  if (file.text === null) {
    return <p>{trans.__('%1 is binary or too large to show.', formatBytes(file.size_bytes))}</p>;
  }
  return editor ? (
    <div className="jp-MelleaRun-editor" ref={host} />
  ) : (
    <pre tabIndex={0}>{file.text}</pre>
  );
}
