// A field of the launch dialog, with what is wrong about it.

import { useId, type ReactElement, type ReactNode } from 'react';
import type { IProblem, LaunchField } from './values.js';

/** A label, its control and its problems. */
export function Field(props: {
  label: string;
  field: LaunchField;
  problems: readonly IProblem[];
  children: (id: string, describedBy: string | undefined) => ReactNode;
}): ReactElement {
  const id = useId();
  const own = props.problems.filter(problem => problem.field === props.field);
  return (
    <div className="jp-MelleaLaunch-field" data-field={props.field}>
      <label htmlFor={id}>{props.label}</label>
      {props.children(id, own.length > 0 ? `${id}-problems` : undefined)}
      <Problems id={`${id}-problems`} problems={own} />
    </div>
  );
}

/** The problems themselves; nothing where there are none. */
export function Problems(props: {
  id: string;
  problems: readonly Pick<IProblem, 'text' | 'isWarning'>[];
}): ReactElement | null {
  if (props.problems.length === 0) {
    return null;
  }
  return (
    <div id={props.id} className="jp-MelleaLaunch-problems" role="status">
      {props.problems.map(problem => (
        <p key={problem.text} className={problem.isWarning ? 'jp-mod-warning' : undefined}>
          {problem.text}
        </p>
      ))}
    </div>
  );
}
