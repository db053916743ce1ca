// The fields of the launch dialog; problems stand next to their field.

import { useEffect, useId, useState, type ReactElement } from 'react';
import type { Environment, Forecast, ModelOffer } from '../../api/schema.js';
import { Icon } from '../../components/icons.js';
import type { ITranslation } from '../../format.js';
import { Datasets } from './datasets.js';
import { EnvironmentField } from './environment.js';
import { Field, Problems } from './field.js';
import { forecastText } from './forecast.js';
import type { DatasetOffers } from './offers.js';
import {
  hasBudget,
  isSecretName,
  type ILaunchValues,
  type IPair,
  type IProblem,
  type LaunchField
} from './values.js';

const CHECK_PAUSE_MS = 350;

/** What the server knows of a run that is not made yet. */
export interface IFindings {
  problems: readonly IProblem[];
  /** What the program usually takes. */
  forecast: Forecast | null;
}

const NOTHING: IFindings = { problems: [], forecast: null };

/** What the form shows. */
export interface IFormProps {
  initial: ILaunchValues;
  /** Models to offer: recent and configured ones. */
  models: readonly ModelOffer[];
  environments: readonly Environment[];
  /** The one of runs that name none; empty where that is not known. */
  defaultEnvironmentId: string;
  datasets: DatasetOffers;
  /** A retry runs the program that ran; only a new run has a choice. */
  isProgramFixed: boolean;
  /** What the server said when the run was refused. */
  refusal: string;
  /** What is wrong with the values as such. */
  findProblems: (values: ILaunchValues) => IProblem[];
  /** What the server knows besides; asked when the values are right as such. */
  check: (values: ILaunchValues, signal: AbortSignal) => Promise<IFindings>;
  onChange: (values: ILaunchValues, isValid: boolean) => void;
  trans: ITranslation;
}

/** The form. */
export function LaunchForm(props: IFormProps): ReactElement {
  const { trans } = props;
  const [values, setValues] = useState(props.initial);
  const own = props.findProblems(values);
  const { problems: found, forecast } = useServerCheck(values, own, props.check);
  const problems = [...own, ...found];
  const isValid = problems.every(problem => problem.isWarning);
  const models = useId();
  const general = useId();
  const { onChange } = props;
  useEffect(() => onChange(values, isValid), [onChange, values, isValid]);
  const set = (change: Partial<ILaunchValues>): void => setValues({ ...values, ...change });
  const hasKernel = (id: string): boolean =>
    props.environments.some(each => each.id === id && each.executor === 'kernel');
  const text = (field: LaunchField, label: string, input?: object): ReactElement => (
    <Field label={label} field={field} problems={problems}>
      {(id, described) => (
        <input
          id={id}
          className="jp-mod-styled"
          aria-describedby={described}
          value={values[field] as string}
          onChange={event => set({ [field]: event.target.value })}
          {...input}
        />
      )}
    </Field>
  );
  return (
    <div className="jp-MelleaLaunch">
      <Problems id={general} problems={problems.filter(problem => problem.field === null)} />
      {props.refusal && (
        <p className="jp-MelleaLaunch-refusal" role="alert">
          {props.refusal}
        </p>
      )}
      {text('path', trans.__('Program'), {
        disabled: props.isProgramFixed,
        placeholder: 'folder/program.py'
      })}
      {text('model', trans.__('Model'), {
        list: models,
        placeholder: trans.__("the program's own")
      })}
      <datalist id={models}>
        {props.models.map(({ model, source }) => (
          <option key={model} value={model} label={`${model} · ${sourceText(source, trans)}`} />
        ))}
      </datalist>
      <EnvironmentField
        value={values.environmentId}
        onChange={environmentId => set({ environmentId })}
        environments={props.environments}
        defaultId={props.defaultEnvironmentId}
        problems={problems}
        trans={trans}
      />
      {text('args', trans.__('Arguments'), { placeholder: '--city Lisbon' })}
      <Variables
        pairs={values.variables}
        onChange={variables => set({ variables })}
        problems={problems.filter(problem => problem.field === 'variables')}
        trans={trans}
      />
      <Datasets
        rows={values.datasets}
        onChange={datasets => set({ datasets })}
        offers={props.datasets}
        problems={problems.filter(problem => problem.field === 'datasets')}
        trans={trans}
      />
      <div className="jp-MelleaLaunch-numbers">
        {text('timeoutSeconds', trans.__('Timeout (s)'), { inputMode: 'numeric' })}
        {text('quotaMb', trans.__('Artifact quota (MB)'), { inputMode: 'numeric' })}
        {text('maxCostUsd', trans.__('Budget (US$)'), {
          inputMode: 'decimal',
          placeholder: trans.__('no limit')
        })}
        {text('maxLlmCalls', trans.__('Most LLM calls'), {
          inputMode: 'numeric',
          placeholder: trans.__('no limit')
        })}
        {props.initial.memoryMb !== '' &&
          text('memoryMb', trans.__('Memory of the environment (MB)'), { inputMode: 'numeric' })}
        {hasBudget(values) && (
          <Field label={trans.__('At the budget')} field="onBudget" problems={problems}>
            {(id, described) => (
              <select
                id={id}
                className="jp-mod-styled"
                aria-describedby={described}
                value={values.onBudget}
                onChange={event => set({ onBudget: event.target.value })}
              >
                <option value="stop">{trans.__('stop')}</option>
                <option value="ask">{trans.__('ask me')}</option>
              </select>
            )}
          </Field>
        )}
      </div>
      {(values.keepKernel || hasKernel(values.environmentId || props.defaultEnvironmentId)) && (
        <Field label={trans.__('Keep the kernel')} field="keepKernel" problems={problems}>
          {(id, described) => (
            <span className="jp-MelleaLaunch-check">
              <input
                id={id}
                type="checkbox"
                aria-describedby={described}
                checked={values.keepKernel}
                onChange={event => set({ keepKernel: event.target.checked })}
              />
              {trans.__('if the run fails, to open a console on it')}
            </span>
          )}
        </Field>
      )}
      {forecast !== null && (
        <p className="jp-MelleaLaunch-forecast" role="status">
          {forecastText(forecast, trans)}
        </p>
      )}
      {text('tags', trans.__('Tags'), {
        placeholder: trans.__('separated by commas'),
        disabled: props.isProgramFixed
      })}
    </div>
  );
}

function sourceText(source: ModelOffer['source'], trans: ITranslation): string {
  switch (source) {
    case 'recent':
      return trans.__('recent');
    case 'configured':
      return trans.__('configured');
    case 'demo':
      return trans.__('scripted replies, no key needed');
    default: {
      const unknown: never = source;
      return unknown;
    }
  }
}

/** What the server finds, a moment after the last change; the last answer stays until the next. */
function useServerCheck(
  values: ILaunchValues,
  own: readonly IProblem[],
  check: IFormProps['check']
): IFindings {
  const [found, setFound] = useState(NOTHING);
  const canAsk = own.every(problem => problem.isWarning);
  useEffect(() => {
    const asking = new AbortController();
    const timer = window.setTimeout(() => {
      if (canAsk) {
        check(values, asking.signal).then(
          findings => !asking.signal.aborted && setFound(findings),
          () => undefined // the server says what it has to say when the run is created
        );
      }
    }, CHECK_PAUSE_MS);
    return () => {
      window.clearTimeout(timer);
      asking.abort();
    };
  }, [values, canAsk, check]);
  return canAsk ? found : { ...found, problems: NOTHING.problems };
}

function Variables(props: {
  pairs: readonly IPair[];
  onChange: (pairs: IPair[]) => void;
  problems: readonly IProblem[];
  trans: ITranslation;
}): ReactElement {
  const { pairs, onChange, trans } = props;
  const id = useId();
  const replace = (at: number, change: Partial<IPair>): void =>
    onChange(pairs.map((pair, index) => (index === at ? { ...pair, ...change } : pair)));
  return (
    <fieldset className="jp-MelleaLaunch-field" data-field="variables">
      <legend>{trans.__('Variables')}</legend>
      {pairs.map((pair, index) => (
        <div key={index} className="jp-MelleaLaunch-pair">
          <input
            className="jp-mod-styled"
            aria-label={trans.__('Name')}
            placeholder={trans.__('name')}
            autoComplete="off"
            value={pair.name}
            onChange={event => replace(index, { name: event.target.value })}
          />
          <input
            className="jp-mod-styled"
            aria-label={trans.__('Value of %1', pair.name)}
            placeholder={trans.__('value')}
            type={isSecretName(pair.name) && pair.value !== '••••' ? 'password' : 'text'}
            autoComplete="new-password"
            value={pair.value}
            onChange={event => replace(index, { value: event.target.value })}
          />
          <button
            type="button"
            className="jp-MelleaButton jp-mod-icon"
            aria-label={trans.__('Remove %1', pair.name)}
            onClick={() => onChange(pairs.filter((_, each) => each !== index))}
          >
            <Icon name="close" />
          </button>
        </div>
      ))}
      <button
        type="button"
        className="jp-MelleaButton jp-mod-link"
        onClick={() => onChange([...pairs, { name: '', value: '' }])}
      >
        {trans.__('Add variable')}
      </button>
      <Problems id={`${id}-problems`} problems={props.problems} />
    </fieldset>
  );
}
