import { expect, test } from 'vitest';
import { parseView } from '../../src/views/spec.js';

const RUN = '11111111-1111-4111-8111-111111111111';

test.each([
  [{ view: 'run', run_id: RUN }],
  [{ view: 'log', run_id: RUN }],
  [{ view: 'metrics', run_id: RUN }],
  [{ view: 'runs', filters: { status: ['failed'], search: 'x' } }],
  [{ view: 'table', filters: {} }],
  [{ view: 'cost', by: 'day', last_seconds: 3600 }],
  [{ view: 'cost', by: 'owner', last_seconds: null }]
])('%o is shown as it stands', spec => {
  expect(parseView(spec)).toEqual(spec);
});

test.each([
  [null],
  ['run'],
  [[]],
  [{ view: 'run' }],
  [{ view: 'run', run_id: '../../api/contents' }],
  [{ view: 'run', run_id: `${RUN}/../x` }],
  [{ view: 'html', run_id: RUN }],
  [{ view: 'cost', by: 'status' }]
])('%o is no view', data => {
  expect(parseView(data)).toBeNull();
});

test('filters that make no sense are left out', () => {
  const filters = { status: 'failed', tags: [1], search: 7, owner_id: ['ann'], limit: 5 };
  expect(parseView({ view: 'runs', filters })).toEqual({
    view: 'runs',
    filters: { owner_id: ['ann'] }
  });
});
