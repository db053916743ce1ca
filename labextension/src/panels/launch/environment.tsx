// Where the run executes: the environments that work, and why the others do not.

import type { ReactElement } from 'react';
import type { Environment } from '../../api/schema.js';
import type { ITranslation } from '../../format.js';
import { Field } from './field.js';
import { isUnavailable, type IProblem } from './values.js';

/** The choice of an environment. */
export function EnvironmentField(props: {
  value: string;
  onChange: (environmentId: string) => void;
  environments: readonly Environment[];
  /** The one of runs that name none. */
  defaultId: string;
  problems: readonly IProblem[];
  trans: ITranslation;
}): ReactElement {
  const { environments, trans } = props;
  const standard = environments.find(({ id }) => id === props.defaultId);
  const broken = environments.filter(isUnavailable);
  return (
    <Field label={trans.__('Environment')} field="environmentId" problems={props.problems}>
      {(id, described) => (
        <>
          <select
            id={id}
            className="jp-mod-styled"
            aria-describedby={described}
            value={props.value}
            onChange={event => props.onChange(event.target.value)}
          >
            <option value="">
              {standard ? trans.__('Default: %1', environmentText(standard)) : trans.__('Default')}
            </option>
            {environments.map(environment => (
              <option
                key={environment.id}
                value={environment.id}
                disabled={isUnavailable(environment)}
              >
                {isUnavailable(environment)
                  ? trans.__('%1 – does not work', environmentText(environment))
                  : environmentText(environment)}
              </option>
            ))}
          </select>
          {broken.length > 0 && (
            <details className="jp-MelleaLaunch-broken">
              <summary>
                {trans._n(
                  '%1 environment does not work',
                  '%1 environments do not work',
                  broken.length
                )}
              </summary>
              <ul>
                {broken.map(environment => (
                  <li key={environment.id}>
                    <b>{environmentText(environment)}</b>: {environment.reason}
                  </li>
                ))}
              </ul>
            </details>
          )}
        </>
      )}
    </Field>
  );
}

/** `Analysis · docker python:3.12-slim`: what it is called, and what places its runs. */
function environmentText({ name, executor, image, kernel_name }: Environment): string {
  return [name, [executor, image ?? kernel_name].filter(Boolean).join(' ')].join(' · ');
}
