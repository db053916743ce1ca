// What a file of a run holds. A program wrote it and may mean harm: texts are text nodes, pictures
// are `img` elements, HTML is in a frame where nothing runs and nothing is fetched.

import { useEffect, useState, type ReactElement } from 'react';
import type { LabApi } from '../../api/lab.js';
import { ApiError } from '../../api/rest.js';
import type { ArtifactPreview, ArtifactRef } from '../../api/schema.js';
import { describeError } from '../../components/errors.js';
import { JsonTree } from '../../components/tree.js';
import { formatBytes, formatNumber, type ITranslation } from '../../format.js';
import { frameDocument } from './frame.js';

interface IPreviewProps {
  artifact: ArtifactRef;
  api: LabApi;
  trans: ITranslation;
}

/** The preview of one file. Give it the file's id as `key`. */
export function Preview(props: IPreviewProps): ReactElement {
  const { artifact, api, trans } = props;
  const [preview, setPreview] = useState<ArtifactPreview | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const reading = new AbortController();
    setError(null);
    api.previewArtifact(artifact.run_id, artifact.id, { signal: reading.signal }).then(
      found => !reading.signal.aborted && setPreview(found),
      (failure: unknown) => !reading.signal.aborted && setError(failure)
    );
    return () => reading.abort();
  }, [api, artifact.run_id, artifact.id, attempt]);
  if (error !== null) {
    const isGone = error instanceof ApiError && (error.status === 410 || error.status === 404);
    return (
      <div role="alert">
        <p className="jp-MelleaRun-refusal">{describeError(error)}</p>
        {!isGone && (
          <button type="button" className="jp-MelleaButton" onClick={() => setAttempt(attempt + 1)}>
            {trans.__('Try again')}
          </button>
        )}
      </div>
    );
  }
  if (preview === null) {
    return <p>{trans.__('Loading…')}</p>;
  }
  return (
    <>
      {preview.truncated && preview.kind !== 'none' && (
        <p className="jp-MelleaRun-meaning">{shownText(preview, trans)}</p>
      )}
      <Content {...props} preview={preview} />
    </>
  );
}

function Content(props: IPreviewProps & { preview: ArtifactPreview }): ReactElement {
  const { preview, artifact, api, trans } = props;
  const text = preview.text ?? '';
  switch (preview.kind) {
    case 'text':
      return text === '' ? (
        <p>{trans.__('The file is empty.')}</p>
      ) : (
        <pre tabIndex={0} aria-label={artifact.path}>
          {text}
        </pre>
      );
    case 'json':
      return (
        <div className="jp-MelleaPreview-tree">
          <JsonTree value={JSON.parse(text)} trans={trans} />
        </div>
      );
    case 'table':
      return <CellTable rows={preview.rows ?? []} label={artifact.path} trans={trans} />;
    case 'html':
      return (
        <iframe
          className="jp-MelleaPreview-page"
          title={artifact.path}
          sandbox=""
          referrerPolicy="no-referrer"
          srcDoc={frameDocument(text)}
        />
      );
    case 'svg':
      return (
        <Picture
          source={`data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`}
          {...props}
        />
      );
    case 'image':
      return <Picture source={api.artifactUrl(artifact.run_id, artifact.id)} {...props} />;
    case 'none':
      return <p>{noneText(preview, trans)}</p>;
    default:
      return unknownKind(preview.kind);
  }
}

function unknownKind(kind: never): never {
  throw new Error(`There is no preview of the kind ${String(kind)}`);
}

function Picture(props: IPreviewProps & { source: string }): ReactElement {
  const [isBroken, setBroken] = useState(false);
  return isBroken ? (
    <p>{props.trans.__('The file is not the picture that its name says.')}</p>
  ) : (
    <img
      className="jp-MelleaPreview-picture"
      alt={props.artifact.path}
      src={props.source}
      onError={() => setBroken(true)}
    />
  );
}

/** The first row is taken for the heads of the columns. */
function CellTable(props: {
  rows: readonly (readonly string[])[];
  label: string;
  trans: ITranslation;
}): ReactElement {
  const [head, ...rows] = props.rows;
  if (head === undefined) {
    return <p>{props.trans.__('The file is empty.')}</p>;
  }
  return (
    <div className="jp-MelleaPreview-cells" role="region" aria-label={props.label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {head.map((cell, index) => (
              <th key={index} scope="col">
                {cell}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, number) => (
            <tr key={number}>
              {row.map((cell, index) => (
                <td key={index}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function shownText(preview: ArtifactPreview, trans: ITranslation): string {
  return preview.kind === 'table'
    ? trans.__(
        'Showing the first %1 rows. Cells may be cut.',
        formatNumber(preview.rows?.length ?? 0)
      )
    : trans.__('Showing the first %1.', formatBytes(preview.shown_bytes));
}

function noneText(preview: ArtifactPreview, trans: ITranslation): string {
  switch (preview.reason) {
    case 'binary':
      return trans.__('No preview: this is no text and no picture. Download it to open it.');
    case 'too_large':
      return trans.__('Too large for a preview. Download it to open it.');
    case 'secrets_gone':
      return trans.__(
        'No preview: the secrets that would have to be hidden in it are not known any more.'
      );
    default:
      return trans.__('No preview.');
  }
}
