// The files a run kept, and those it did not.

import { useState, type ReactElement } from 'react';
import type { LabApi } from '../../api/lab.js';
import type { ArtifactLink, ArtifactRef, Run } from '../../api/schema.js';
import { describeError } from '../../components/errors.js';
import { formatBytes, formatNumber, type ITranslation } from '../../format.js';
import { FileTree } from './FileTree.js';
import { Outputs } from './outputs.js';
import { Preview } from './preview.js';
import { Retention } from './retention.js';

const SHOWN_SKIPPED = 200;

/** What the tab needs. */
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
  const only = run.artifacts.length === 1 ? run.artifacts[0] : undefined;
  const [chosenId, setChosen] = useState(only?.id ?? '');
  const chosen = run.artifacts.find(artifact => artifact.id === chosenId);
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
        <div className="jp-MelleaArtifacts">
          <FileTree
            artifacts={run.artifacts}
            chosen={chosen?.id ?? null}
            onChoose={artifact => setChosen(artifact.id)}
            trans={trans}
          />
          {chosen ? (
            <section className="jp-MelleaPreview" aria-label={chosen.path}>
              <div className="jp-MelleaPreview-head">
                <h3>{chosen.path}</h3>
                <span className="jp-MelleaRun-meaning">
                  {`${chosen.content_type} · ${formatBytes(chosen.size_bytes)} · `}
                  <span title={chosen.checksum}>SHA-256 {chosen.checksum.slice(0, 12)}</span>
                </span>
                <span className="jp-MelleaPreview-actions">
                  <a href={api.artifactUrl(run.id, chosen.id)} download={chosen.name}>
                    {trans.__('Download')}
                  </a>
                  <button
                    type="button"
                    className="jp-MelleaButton jp-mod-link"
                    aria-label={trans.__('Copy link to %1', chosen.path)}
                    title={trans.__('Copy a link that downloads this file without a token')}
                    onClick={() => void share(chosen)}
                  >
                    {trans.__('Copy link')}
                  </button>
                </span>
              </div>
              <Preview key={chosen.id} artifact={chosen} api={api} trans={trans} />
            </section>
          ) : (
            <p className="jp-MelleaPreview jp-MelleaRun-meaning">
              {trans.__('Choose a file to see what is in it.')}
            </p>
          )}
        </div>
      )}
      {shared && <SharedLink {...shared} trans={trans} />}
      {run.artifacts_skipped.length > 0 && (
        <section>
          <h3>{trans.__('Not kept')}</h3>
          <ul>
            {run.artifacts_skipped.slice(0, SHOWN_SKIPPED).map(skipped => (
              <li key={`${skipped.path} ${skipped.reason}`}>
                <code>{skipped.path}</code> · {skippedText(skipped.reason, trans)}
                {skipped.size_bytes !== null && ` · ${formatBytes(skipped.size_bytes)}`}
              </li>
            ))}
          </ul>
          {run.artifacts_skipped.length > SHOWN_SKIPPED && (
            <p>
              {trans.__('and %1 more', formatNumber(run.artifacts_skipped.length - SHOWN_SKIPPED))}
            </p>
          )}
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

function skippedText(reason: string, trans: ITranslation): string {
  const texts: Record<string, string> = {
    quota: trans.__('over the quota'),
    link: trans.__('a symbolic link'),
    not_regular: trans.__('not a regular file'),
    unreadable: trans.__('could not be read'),
    changed: trans.__('changed while it was read'),
    too_deep: trans.__('too many folders deep'),
    name: trans.__('its name is not UTF-8')
  };
  return texts[reason] ?? reason;
}
