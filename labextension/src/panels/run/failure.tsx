// Why a run failed, without opening the log: one sentence, what raised it, the next step.

import type { ReactElement } from 'react';
import type { Run } from '../../api/schema.js';
import { CommandIDs, type ICommands } from '../../commands.js';
import { reasonText } from '../../components/status.js';
import type { ITranslation } from '../../format.js';
import { isUnmet } from '../../models/statuses.js';

/** The box above the tabs; nothing for runs that went well. */
export function FailureBox(props: {
  run: Run;
  commands: ICommands;
  trans: ITranslation;
}): ReactElement | null {
  const { run, commands, trans } = props;
  if (isUnmet(run)) {
    const count = run.metrics.loops_exhausted;
    return (
      <div className="jp-MelleaRun-failure jp-mod-unmet" role="alert">
        <p>
          {trans._n(
            'The program ended well, but %1 sampling loop ended before its requirements were met.',
            'The program ended well, but %1 sampling loops ended before their requirements were met.',
            count
          )}
        </p>
      </div>
    );
  }
  if (run.status !== 'failed') {
    return null;
  }
  const { error } = run;
  return (
    <div className="jp-MelleaRun-failure" role="alert">
      <p>{run.error_message ?? reasonText(run, trans)}</p>
      {error && !run.error_message?.includes(error.message) && (
        <p>
          {error.type}: {error.message}
        </p>
      )}
      {error?.stack_trace && (
        <details>
          <summary>{trans.__('Stack trace')}</summary>
          <pre tabIndex={0}>{error.stack_trace}</pre>
        </details>
      )}
      {commands.hasCommand(CommandIDs.retryEdited) && (
        <button
          type="button"
          className="jp-MelleaButton"
          onClick={() => void commands.execute(CommandIDs.retryEdited, { runId: run.id })}
        >
          {trans.__('Change and retry…')}
        </button>
      )}
    </div>
  );
}
