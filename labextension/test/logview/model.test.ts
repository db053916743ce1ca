import { expect, test, vi } from 'vitest';
import { LogModel, type ILogModelListener } from '../../src/logview/core/model.js';
import { FakeLog, frame } from '../helpers.js';

function listener(): ILogModelListener {
  return {
    onChange: vi.fn(),
    onReset: vi.fn(),
    onPrepend: vi.fn(),
    onAbsent: vi.fn(),
    onReveal: vi.fn()
  };
}

test('a million lines open at the end with one request, and follow from there', async () => {
  const log = new FakeLog(1_000_000);
  const model = new LogModel(log);
  await model.open();
  expect(log.queries).toEqual([{ tail: 500 }]);
  expect(log.followedFrom).toEqual(['1000000.1']);
  expect(model.count).toBe(1_000_000);
  expect(model.row(999_999)?.message).toBe('line 1000000');
  model.want(999_950, 999_999);
  expect(log.queries).toHaveLength(1);
});

test('what is looked at is read once, in windows', async () => {
  const log = new FakeLog(1_000_000);
  const model = new LogModel(log);
  await model.open();
  model.want(700_100, 700_160);
  model.want(700_101, 700_161);
  await vi.waitFor(() => expect(model.row(700_100)).toBeDefined());
  expect(log.queries.slice(1)).toEqual([{ line: 700_001, limit: 500 }]);
});

test('the view lets go of the end, counts what comes, and returns', async () => {
  const log = new FakeLog(100);
  const model = new LogModel(log);
  await model.open();
  model.setFollowing(false);
  log.grow(214);
  expect(model.newRows).toBe(214);
  model.setFollowing(true);
  expect(model.newRows).toBe(0);
  expect(model.count).toBe(314);
});

test('following 100 000 lines holds a bounded number of them', async () => {
  const log = new FakeLog(0);
  const model = new LogModel(log);
  await model.open();
  for (let second = 0; second < 50; second++) {
    log.grow(2000);
  }
  expect(model.count).toBe(100_000);
  expect(model.row(99_999)).toBeDefined();
  expect(model.row(0)).toBeUndefined();
});

test('a reader that was too slow goes on at the end; what lies between is read when seen', async () => {
  const log = new FakeLog(100);
  const model = new LogModel(log);
  await model.open();
  log.lines = 50_000;
  log.listener.onLagged?.('100.1');
  await vi.waitFor(() => expect(model.count).toBe(50_000));
  expect(log.followedFrom.at(-1)).toBe('50000.1');
  model.want(20_000, 20_010);
  await vi.waitFor(() => expect(model.row(20_000)?.message).toBe('line 20001'));
});

test('an ended log is not followed', async () => {
  const log = new FakeLog(10, frame, true);
  const model = new LogModel(log);
  await model.open();
  expect(model.state).toBe('ended');
  expect(log.followedFrom).toEqual([]);
});

test('the end that comes live carries the final status', async () => {
  const log = new FakeLog(10);
  const model = new LogModel(log);
  await model.open();
  log.listener.onComplete?.('failed');
  expect([model.state, model.status]).toEqual(['ended', 'failed']);
});

test('a log that can not be read says why', async () => {
  const log = new FakeLog(10);
  log.read = () => Promise.reject(new Error('no such run'));
  const model = new LogModel(log);
  await model.open();
  expect([model.state, model.error?.message]).toEqual(['failed', 'no such run']);
});

test('a filter shows its lines and says how many are hidden', async () => {
  const log = new FakeLog(3000, line =>
    frame(line, { stream: line % 1000 === 0 ? 'stderr' : 'stdout' })
  );
  const model = new LogModel(log);
  const heard = listener();
  model.listen(heard);
  await model.open();
  await model.setFilter({ streams: ['stderr'], levels: [] });
  expect(heard.onReset).toHaveBeenCalled();
  expect([0, 1, 2].map(index => model.row(index)?.line)).toEqual([1000, 2000, 3000]);
  expect([0, 1, 2].map(index => model.hiddenBefore(index))).toEqual([999, 999, 999]);
  log.grow(1000);
  expect(model.count).toBe(4);
  await model.setFilter({ streams: [], levels: [] });
  expect(model.count).toBe(4000);
});

test('a filtered log grows upwards as it is looked at', async () => {
  const log = new FakeLog(4000, line => frame(line, { level: line % 2 ? 'error' : 'info' }));
  const model = new LogModel(log);
  const heard = listener();
  model.listen(heard);
  await model.open();
  await model.setFilter({ streams: [], levels: ['error'] });
  expect(model.count).toBe(500);
  model.want(0, 40);
  await vi.waitFor(() => expect(heard.onPrepend).toHaveBeenCalledWith(500));
  expect(model.row(0)?.line).toBe(2001);
});

test('search walks the hits and brings them into view', async () => {
  const log = new FakeLog(1_000, line =>
    frame(line, { message: [10, 700].includes(line) ? 'a needle' : 'hay' })
  );
  const model = new LogModel(log);
  const heard = listener();
  model.listen(heard);
  await model.open();
  await model.find('needle', 500);
  expect([model.search?.line, model.search?.count, model.search?.isComplete]).toEqual([
    700,
    2,
    true
  ]);
  expect(heard.onReveal).toHaveBeenLastCalledWith(699);
  expect(model.isFollowing).toBe(false);
  await model.findNext();
  expect(model.highlightedLine).toBe(10);
  await model.findPrevious();
  expect(model.highlightedLine).toBe(700);
  await model.find('', 1);
  expect(model.search).toBeNull();
});

test('a search with very many hits reads them as one walks', async () => {
  const log = new FakeLog(5_000);
  const model = new LogModel(log);
  await model.open();
  await model.find('line', 1);
  expect([model.search?.count, model.search?.isComplete]).toEqual([1000, false]);
  for (let step = 0; step < 1000; step++) {
    await model.findNext();
  }
  expect(model.highlightedLine).toBe(1001);
  await model.find('line', 4_900);
  expect(model.highlightedLine).toBe(4_900);
});

test('lines that were cut out are told as rows without height', async () => {
  const log = new FakeLog(0);
  log.read = async () => ({
    frames: [frame(1), frame(2, { stream: 'system', message: 'cut' }), frame(900)],
    next: '900.1',
    ended: true
  });
  const model = new LogModel(log);
  const heard = listener();
  model.listen(heard);
  await model.open();
  expect(heard.onAbsent).toHaveBeenCalledWith([[2, 898]]);
  expect(model.absentRows).toEqual([[2, 898]]);
});
