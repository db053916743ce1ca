// Why a run failed, without opening the log: one sentence, the line that raised it, the next step.

import { useEffect, useState, type ReactElement, type ReactNode } from 'react';
import type { RunsApi } from '../../api/rest.js';
import type { LogFrame, Run } from '../../api/schema.js';
import { CommandIDs, type ICommands } from '../../commands.js';
import { nextStepLabel, reasonText } from '../../components/status.js';
import type { ITranslation } from '../../format.js';
import { isUnmet } from '../../models/statuses.js';

const LONG = 400; // characters; what is longer is folded
const LAST_LINES = 10;

/** What the box is made of. */
export interface IFailureProps {
  run: Run;
  api: RunsApi;
  /** For the next step; those that are not there are left out. */
  commands: ICommands;
  trans: ITranslation;
  /** What there is to say besides, at the end. */
  children?: ReactNode;
}

/** The box above the tabs; nothing for runs that went well. */
export function FailureBox(props: IFailureProps): ReactElement | null {
  const { run, trans } = props;
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
  return run.status === 'failed' ? <Failure {...props} /> : null;
}

function Failure({ run, api, commands, trans, children }: IFailureProps): ReactElement {
  const trace = run.error?.stack_trace ?? '';
  const why = run.error_classification;
  const place = why?.location;
  const command = why?.next_step?.command;
  const step = why && nextStepLabel(why, trans);
  const [next, label] = step
    ? ([CommandIDs.takeNextStep, step] as const)
    : ([CommandIDs.retryEdited, trans.__('Retry with changes…')] as const);
  return (
    <div className="jp-MelleaRun-failure" role="alert">
      {why && (
        <p>
          <strong className="jp-MelleaRun-cause">{why.summary}</strong> {why.explanation}
        </p>
      )}
      {place && (
        <p className="jp-MelleaRun-place">
          {trans.__('%1, line %2', place.file, place.line)}
          {place.text && <code>{place.text}</code>}
        </p>
      )}
      <LongText text={failureText(run, trans)} trans={trans} />
      {trace ? (
        <details>
          <summary>{trans.__('Stack trace')}</summary>
          <pre tabIndex={0}>{trace}</pre>
        </details>
      ) : (
        <LastErrorLines runId={run.id} api={api} trans={trans} />
      )}
      {why && <p>{why.suggestion}</p>}
      {command && (
        <p className="jp-MelleaRun-place">
          <code>{command}</code>
        </p>
      )}
      {commands.hasCommand(next) && (
        <button
          type="button"
          className="jp-MelleaButton jp-mod-accept"
          onClick={() => void commands.execute(next, { runId: run.id })}
        >
          {label}
        </button>
      )}
      {children}
    </div>
  );
}

/** What failed, in the most complete of the words there are; they repeat each other. */
export function failureText(run: Run, trans: ITranslation): string {
  const said = run.error_message ?? '';
  const reason = reasonText(run, trans);
  if (run.error) {
    const raised = `${run.error.type.replace(/^builtins\./, '')}: ${run.error.message}`;
    const isSame = said === '' || raised.startsWith(said.replace(/…$/, '').slice(0, 80));
    return isSame ? raised : said.includes(run.error.message) ? said : `${said}\n${raised}`;
  }
  return said || reason || trans.__('It failed, and nothing says why.');
}

function LongText({ text, trans }: { text: string; trans: ITranslation }): ReactElement {
  const [isWhole, setWhole] = useState(false);
  const isLong = text.length > LONG;
  return (
    <p className="jp-MelleaRun-reason">
      {isLong && !isWhole ? `${text.slice(0, LONG).trimEnd()}… ` : text}
      {isLong && (
        <button
          type="button"
          className="jp-MelleaButton jp-mod-link"
          aria-expanded={isWhole}
          onClick={() => setWhole(!isWhole)}
        >
          {isWhole ? trans.__('Show less') : trans.__('Show all')}
        </button>
      )}
    </p>
  );
}

/** What the program last wrote as an error, where no exception was recorded. */
function LastErrorLines(props: {
  runId: string;
  api: RunsApi;
  trans: ITranslation;
}): ReactElement | null {
  const { runId, api, trans } = props;
  const [lines, setLines] = useState<LogFrame[]>([]);
  useEffect(() => {
    const reading = new AbortController();
    api.readLog(runId, { tail: LAST_LINES, level: ['error'] }, { signal: reading.signal }).then(
      page => setLines(page.frames),
      () => undefined // the log below says why it can not be read
    );
    return () => reading.abort();
  }, [api, runId]);
  if (lines.length === 0) {
    return null;
  }
  return (
    <details open>
      <summary>{trans.__('Last error lines')}</summary>
      <pre tabIndex={0}>{lines.map(frame => frame.message).join('\n')}</pre>
    </details>
  );
}
