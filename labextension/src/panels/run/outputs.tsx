// The structured results that a program declared.

import { useEffect, useState, type ReactElement } from 'react';
import type { RunsApi } from '../../api/rest.js';
import type { Run, StructuredOutput } from '../../api/schema.js';
import { describeError } from '../../components/errors.js';
import { JsonTree } from '../../components/tree.js';
import type { ITranslation } from '../../format.js';

/** All of them, as trees; nothing for a run without. */
export function Outputs(props: {
  run: Run;
  api: RunsApi;
  trans: ITranslation;
}): ReactElement | null {
  const { run, api, trans } = props;
  const [outputs, setOutputs] = useState<StructuredOutput[]>([]);
  const [error, setError] = useState('');
  useEffect(() => {
    let isCurrent = true;
    api.listOutputs(run.id).then(
      found => {
        if (isCurrent) {
          setOutputs(found);
          setError('');
        }
      },
      (failure: unknown) => isCurrent && setError(describeError(failure))
    );
    return () => {
      isCurrent = false;
    };
  }, [api, run.id, run.status]);
  if (error !== '') {
    return (
      <p className="jp-MelleaRun-refusal" role="alert">
        {trans.__('The outputs could not be read: %1', error)}
      </p>
    );
  }
  if (outputs.length === 0) {
    return null;
  }
  const paths = new Map(run.artifacts.map(artifact => [artifact.id, artifact.path]));
  return (
    <section aria-label={trans.__('Outputs')}>
      {outputs.map((output, index) => (
        <div key={index} className="jp-MelleaOutput">
          <h3>
            {paths.get(output.artifact_id) ??
              (outputs.length === 1 ? trans.__('Output') : trans.__('Output %1', index + 1))}
            <span className="jp-MelleaRun-meaning">
              {' · '}
              {trans.__('schema version %1', output.schema_version)}
            </span>
          </h3>
          <JsonTree value={output.data} trans={trans} />
        </div>
      ))}
    </section>
  );
}
