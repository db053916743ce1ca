// The files a run kept, and those it did not.

import { useEffect, useState, type ReactElement } from 'react';
import type { LabApi } from '../../api/lab.js';
import type { ArtifactLink, ArtifactRef, Run, StructuredOutput } from '../../api/schema.js';
import { describeError } from '../../components/errors.js';
import { formatBytes, type ITranslation } from '../../format.js';
import { Retention } from './retention.js';

interface IArtifactsProps {
  run: Run;
  api: LabApi;
  /** Take the run as it is after a change. */
  onChanged: (run: Run) => void;
  /** Put text into the clipboard. */
  copy: (text: string) => void;
  trans: ITranslation;
}

/** The tab. */
export function ArtifactsTab(props: IArtifactsProps): ReactElement {
  const { run, api, trans } = props;
  const [shared, setShared] = useState<IShared | null>(null);
  const share = async (artifact: ArtifactRef): Promise<void> => {
    try {
      const link = await api.createArtifactLink(run.id, artifact.id);
      props.copy(link.url);
      setShared({ artifact, link, error: '' });
    } catch (error) {
      setShared({ artifact, link: null, error: describeError(error) });
    }
  };
  return (
    <div className="jp-MelleaRun-tab">
      <Outputs {...props} />
      <Retention {...props} />
      {run.artifacts.length === 0 ? (
        !run.artifacts_purged && (
          <p>
            {trans.__(
              'No artifacts. Files that a program writes to its output folder appear here.'
            )}
          </p>
        )
      ) : (
        <table className="jp-MelleaTable">
          <thead>
            <tr>
              <th scope="col">{trans.__('Path')}</th>
              <th scope="col">{trans.__('Type')}</th>
              <th scope="col" className="jp-mod-number">
                {trans.__('Size')}
              </th>
              <th scope="col">SHA-256</th>
              <th scope="col">{trans.__('Link')}</th>
            </tr>
          </thead>
          <tbody>
            {run.artifacts.map(artifact => (
              <tr key={artifact.id}>
                <td>
                  <a href={api.artifactUrl(run.id, artifact.id)} download={artifact.name}>
                    {artifact.path}
                  </a>
                </td>
                <td>{artifact.content_type}</td>
                <td className="jp-mod-number">{formatBytes(artifact.size_bytes)}</td>
                <td title={artifact.checksum}>
                  <code>{artifact.checksum.slice(0, 12)}</code>
                </td>
                <td>
                  <button
                    type="button"
                    className="jp-MelleaButton jp-mod-link"
                    aria-label={trans.__('Copy link to %1', artifact.path)}
                    title={trans.__('Copy a link that downloads this file without a token')}
                    onClick={() => void share(artifact)}
                  >
                    {trans.__('Copy link')}
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {shared && <SharedLink {...shared} trans={trans} />}
      {run.artifacts_skipped.length > 0 && (
        <section>
          <h3>{trans.__('Not kept')}</h3>
          <ul>
            {run.artifacts_skipped.map(skipped => (
              <li key={skipped.path}>
                <code>{skipped.path}</code> · {skippedText(skipped.reason, trans)}
                {skipped.size_bytes !== null && ` · ${formatBytes(skipped.size_bytes)}`}
              </li>
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}

/** A link that was asked for, or why there is none. */
interface IShared {
  artifact: ArtifactRef;
  link: ArtifactLink | null;
  error: string;
}

/** The link itself, for where a page may not write to the clipboard, and how long it works. */
function SharedLink(props: IShared & { trans: ITranslation }): ReactElement {
  const { artifact, link, error, trans } = props;
  if (link === null) {
    return (
      <p className="jp-MelleaRun-refusal" role="alert">
        {trans.__('No link to %1: %2', artifact.path, error)}
      </p>
    );
  }
  return (
    <div className="jp-MelleaRun-link" role="status">
      <p>
        {trans.__(
          'Link to %1 copied. Whoever has it can download the file without a token, until %2.',
          artifact.path,
          new Date(link.expires_at).toLocaleString()
        )}
      </p>
      <input
        className="jp-mod-styled"
        aria-label={trans.__('Link to %1', artifact.path)}
        readOnly
        value={link.url}
        onFocus={event => event.target.select()}
      />
    </div>
  );
}

/** The results that the program declared, as JSON. */
function Outputs({
  run,
  api,
  trans
}: Pick<IArtifactsProps, 'run' | 'api' | 'trans'>): ReactElement | null {
  const [outputs, setOutputs] = useState<StructuredOutput[]>([]);
  useEffect(() => {
    let isCurrent = true;
    api.listOutputs(run.id).then(
      found => isCurrent && setOutputs(found),
      () => undefined // the artifacts below are the same values as files
    );
    return () => {
      isCurrent = false;
    };
  }, [api, run.id, run.status]);
  if (outputs.length === 0) {
    return null;
  }
  return (
    <section>
      <h3>{trans.__('Output')}</h3>
      {outputs.map((output, index) => (
        <pre key={index} tabIndex={0}>
          {JSON.stringify(output.data, null, 2)}
        </pre>
      ))}
    </section>
  );
}

function skippedText(reason: string, trans: ITranslation): string {
  const texts: Record<string, string> = {
    quota: trans.__('over the quota'),
    link: trans.__('a symbolic link'),
    not_regular: trans.__('not a regular file'),
    unreadable: trans.__('could not be read'),
    changed: trans.__('changed while it was read')
  };
  return texts[reason] ?? reason;
}
