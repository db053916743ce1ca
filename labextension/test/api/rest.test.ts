import { expect, test, vi } from 'vitest';
import { ApiError, queryString, RunsApi } from '../../src/api/rest.js';
import type { ITransport } from '../../src/api/transport.js';
import { makeRun } from '../helpers.js';

function makeApi(
  status: number,
  body: unknown
): { api: RunsApi; request: ReturnType<typeof vi.fn> } {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const request = vi.fn(async () => new Response(text, { status }));
  const transport = { request, url: (path: string) => `/base/api/${path}` };
  return { api: new RunsApi(transport as unknown as ITransport), request };
}

test('values of a list repeat their name, empty ones are left out', () => {
  expect(
    queryString({
      status: ['queued', 'running'],
      search: 'a b&c',
      sort: '',
      limit: 5,
      cursor: null
    })
  ).toBe('?status=queued&status=running&search=a+b%26c&limit=5');
  expect(queryString({})).toBe('');
});

test('a refresh that nobody asked for does not keep the server alive', async () => {
  const { api, request } = makeApi(200, { runs: [], next: null, total: null });
  await api.listOwnRuns({ limit: 1 }, { isBackground: true });
  expect(request.mock.calls[0]?.[0]).toBe('users/me/runs?limit=1&no_track_activity=1');
});

test('cancel, retry and bulk verbs send what the API expects', async () => {
  const { api, request } = makeApi(200, makeRun());
  await api.cancelRun('r');
  await api.retryRun('r', { timeout_seconds: 5 });
  await api.cancelRuns(['a', 'b']);
  const headers = { 'Content-Type': 'application/json' };
  const post = (body: string): object => ({ method: 'POST', headers, body });
  expect(request.mock.calls).toEqual([
    ['runs/r', { method: 'DELETE' }],
    ['runs/r/retry', post('{"config_overrides":{"timeout_seconds":5}}')],
    ['runs/bulk/cancel', post('{"run_ids":["a","b"]}')]
  ]);
});

test('an error of the API keeps its code, hint and status', async () => {
  const body = { code: 'run_not_found', message: 'No run', hint: 'See the list', details: {} };
  const { api } = makeApi(404, body);
  const error = (await api.getRun('r').catch(each => each)) as ApiError;
  expect(error).toBeInstanceOf(ApiError);
  expect([error.status, error.body.code, error.message, error.hint]).toEqual([
    404,
    'run_not_found',
    'No run',
    'See the list'
  ]);
  expect(error.isServerPartMissing).toBe(false);
});

test('a 404 that is not ours means that the server part is missing', async () => {
  for (const body of ['<html>404</html>', { message: 'Not Found', reason: null }]) {
    const error = (await makeApi(404, body)
      .api.getRun('r')
      .catch(each => each)) as ApiError;
    expect(error.isServerPartMissing).toBe(true);
  }
});

test('no answer at all is an error with status 0', async () => {
  const transport = { request: () => Promise.reject(new TypeError('failed')), url: String };
  const api = new RunsApi(transport as unknown as ITransport);
  const error = (await api.getRun('r').catch(each => each)) as ApiError;
  expect([error.status, error.body.code]).toEqual([0, 'unreachable']);
});

test('downloads are links', () => {
  const { api } = makeApi(200, {});
  expect(api.logUrl('r')).toBe('/base/api/runs/r/logs?download=text');
  expect(api.artifactUrl('r', 'a')).toBe('/base/api/runs/r/artifacts/a');
});
