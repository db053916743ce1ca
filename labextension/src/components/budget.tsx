// What a run that waits at its budget is answered with.

import { useState, type ReactElement } from 'react';
import type { Run } from '../api/schema.js';
import { CommandIDs, type ICommands } from '../commands.js';
import type { ITranslation } from '../format.js';
import { isOwn } from '../models/statuses.js';
import { budgetAnswers } from './waiting.js';

/** *Allow $0.50 more* and *Stop*; nothing while the run does not wait. */
export function BudgetButtons(props: {
  run: Run;
  commands: ICommands;
  trans: ITranslation;
}): ReactElement | null {
  const { run, commands, trans } = props;
  const [answered, setAnswered] = useState(0);
  const ask = run.waiting?.ask;
  if (ask === undefined || !isOwn(run)) {
    return null;
  }
  return (
    <span className="jp-MelleaBudget">
      {budgetAnswers(run, trans).map(([label, body]) => (
        <button
          key={label}
          type="button"
          className="jp-MelleaButton"
          disabled={answered === ask}
          onClick={() => {
            setAnswered(ask);
            commands
              .execute(CommandIDs.answerBudget, { runId: run.id, ...body })
              .catch(() => setAnswered(0));
          }}
        >
          {label}
        </button>
      ))}
    </span>
  );
}
