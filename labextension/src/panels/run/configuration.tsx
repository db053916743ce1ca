// What a run was asked to do, and what came of it.

import { useEffect, useState, type ReactElement, type ReactNode } from 'react';
import type { LabApi } from '../../api/lab.js';
import type { DatasetBinding, Run } from '../../api/schema.js';
import {
  formatDuration,
  formatExact,
  formatMoney,
  formatNumber,
  type ITranslation
} from '../../format.js';

const SHOWN_DIGITS = 8;

interface IConfigurationProps {
  run: Run;
  api: Pick<LabApi, 'getDataset'>;
  trans: ITranslation;
  onClone: () => void;
  onOpen: (runId: string) => void;
}

/** The tab. */
export function ConfigurationTab(props: IConfigurationProps): ReactElement {
  const { run, trans } = props;
  const { config } = run;
  const variables = Object.entries(config.env_vars);
  return (
    <div className="jp-MelleaRun-tab">
      <Section title={trans.__('Asked')}>
        <Row label={trans.__('Model')}>{config.model ?? trans.__("the program's own")}</Row>
        <Row label={trans.__('Model steering')}>{config.model_steering}</Row>
        <Row label={trans.__('Environment')}>
          {config.environment_id ?? trans.__('the default one')}
        </Row>
        <Row label={trans.__('Arguments')}>
          {config.args.length > 0 && <code>{config.args.join(' ')}</code>}
        </Row>
        <Row label={trans.__('Parameters')}>
          {Object.keys(config.parameters).length > 0 && (
            <pre>{JSON.stringify(config.parameters, null, 2)}</pre>
          )}
        </Row>
        <Row label={trans.__('Variables')}>
          {variables.length > 0 && (
            <ul>
              {variables.map(([name, value]) => (
                <li key={name}>
                  <code>
                    {name}={value}
                  </code>
                </li>
              ))}
            </ul>
          )}
        </Row>
        <Row label={trans.__('Datasets')}>
          {config.datasets.length > 0 && (
            <ul>
              {config.datasets.map(binding => (
                <li key={binding.name}>
                  <Bound binding={binding} api={props.api} trans={trans} />
                </li>
              ))}
            </ul>
          )}
        </Row>
        <Row label={trans.__('Timeout')}>{formatDuration(config.timeout_seconds * 1000)}</Row>
        <Row label={trans.__('Artifact quota')}>{trans.__('%1 MB', config.artifact_quota_mb)}</Row>
        <Row label={trans.__('Budget')}>
          {config.max_cost_usd !== null && formatMoney(Number(config.max_cost_usd))}
        </Row>
        <Row label={trans.__('Most LLM calls')}>
          {config.max_llm_calls !== null && formatNumber(config.max_llm_calls)}
        </Row>
        <Row label={trans.__('Strict requirements')}>
          {config.strict_requirements && trans.__('yes')}
        </Row>
      </Section>
      <Section title={trans.__('Resolved')}>
        <Row label={trans.__('Run')}>
          <code>{run.id}</code>
        </Row>
        <Row label={trans.__('Program')}>
          {run.asset_name} <code>{run.asset_version}</code>
        </Row>
        <Row label={trans.__('Environment')}>{run.environment_name ?? run.environment_id}</Row>
        <Row label={trans.__('Models used')}>{run.models_used.join(', ')}</Row>
        <Row label={trans.__('Owner')}>{run.owner_id}</Row>
        <Row label={trans.__('Host')}>{run.host}</Row>
        <Row label={trans.__('Start')}>
          {run.isolation}
          {run.isolation_reason !== null && ` · ${run.isolation_reason}`}
        </Row>
        <Row label={trans.__('Created')}>{formatExact(run.created_at)}</Row>
        <Row label={trans.__('Started')}>{run.started_at && formatExact(run.started_at)}</Row>
        <Row label={trans.__('Ended')}>{run.finished_at && formatExact(run.finished_at)}</Row>
        <Row label={trans.__('Cancelled by')}>{run.cancelled_by}</Row>
        <Row label={trans.__('Retry of')}>
          {run.retry_of !== null && (
            <button
              type="button"
              className="jp-MelleaButton jp-mod-link"
              onClick={() => props.onOpen(run.retry_of as string)}
            >
              {run.retry_of}
            </button>
          )}
        </Row>
        <Row label={trans.__('Tags')}>{run.tags.join(', ')}</Row>
        <Row label={trans.__('Note')}>{run.note}</Row>
      </Section>
      <button type="button" className="jp-MelleaButton" onClick={props.onClone}>
        {trans.__('Run again with changes…')}
      </button>
    </div>
  );
}

function Section(props: { title: string; children: ReactNode }): ReactElement {
  return (
    <section>
      <h3>{props.title}</h3>
      <table className="jp-MelleaTable jp-MelleaRun-configuration">
        <tbody>{props.children}</tbody>
      </table>
    </section>
  );
}

/** A row; nothing where there is no value. */
function Row(props: { label: string; children: ReactNode }): ReactElement | null {
  const parts = Array.isArray(props.children) ? props.children : [props.children];
  if (parts.every(part => part === null || part === false || part === '')) {
    return null;
  }
  return (
    <tr>
      <th scope="row">{props.label}</th>
      <td>{props.children}</td>
    </tr>
  );
}

/** A dataset by the name it was registered under; by its id where it is not there any more. */
function Bound(props: {
  binding: DatasetBinding;
  api: Pick<LabApi, 'getDataset'>;
  trans: ITranslation;
}): ReactElement {
  const { binding, api, trans } = props;
  const id = binding.dataset_id;
  const [name, setName] = useState('');
  useEffect(() => {
    let isCurrent = true;
    api.getDataset(id).then(
      dataset => isCurrent && setName(dataset.name),
      () => isCurrent && setName(id)
    );
    return () => {
      isCurrent = false;
    };
  }, [api, id]);
  const version = binding.version ?? trans.__('latest');
  return (
    <span title={`${id} @ ${version}`}>
      <code>{binding.name}</code> = {name || trans.__('Loading…')}{' '}
      <code>{version.slice(0, SHOWN_DIGITS)}</code>
    </span>
  );
}
