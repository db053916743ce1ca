// The files a run kept, and those it did not.

import { useEffect, useState, type ReactElement } from 'react';
import type { RunsApi } from '../../api/rest.js';
import type { Run, StructuredOutput } from '../../api/schema.js';
import { formatBytes, formatExact, type ITranslation } from '../../format.js';

interface IArtifactsProps {
  run: Run;
  api: RunsApi;
  trans: ITranslation;
}

/** The tab. */
export function ArtifactsTab(props: IArtifactsProps): ReactElement {
  const { run, api, trans } = props;
  return (
    <div className="jp-MelleaRun-tab">
      <Outputs {...props} />
      <Retention run={run} trans={trans} />
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
              </tr>
            ))}
          </tbody>
        </table>
      )}
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

/** How long the files stay, or since when they are gone. */
function Retention({ run, trans }: Omit<IArtifactsProps, 'api'>): ReactElement | null {
  if (run.artifacts_purged) {
    const at = run.artifacts_purged_at;
    return (
      <p>
        {at === null
          ? trans.__('The artifacts have expired. The record and metrics stay.')
          : trans.__(
              'The artifacts expired on %1. The record and metrics stay.',
              new Date(at).toLocaleDateString()
            )}
      </p>
    );
  }
  return run.expires_at !== null && run.artifacts.length > 0 ? (
    <p className="jp-MelleaRun-meaning" title={formatExact(run.expires_at)}>
      {trans.__('Kept until %1.', new Date(run.expires_at).toLocaleDateString())}
    </p>
  ) : null;
}

/** The results that the program declared, as JSON. */
function Outputs({ run, api, trans }: IArtifactsProps): ReactElement | null {
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
