// What a run that has not ended waits for.

import { describe, expect, it } from 'vitest';
import type { RunImage } from '../../src/api/schema.js';
import { pulledPart, waitingText } from '../../src/components/waiting.js';
import { formatBytes } from '../../src/format.js';
import { makeRun, trans } from '../helpers.js';

const IMAGE: RunImage = {
  reference: 'python:3.11-slim',
  digest: null,
  id: null,
  layers_done: 0,
  layers_total: 0,
  bytes_done: 0,
  bytes_extracted: 0,
  bytes_total: 0
};

describe('an image that is pulled', () => {
  it('is named before anything is known of it', () => {
    const run = makeRun({ status: 'pulling_image', image: IMAGE });
    expect(waitingText(run, 0, trans)).toBe('Pulling python:3.11-slim');
    expect(pulledPart(run)).toBeNull();
  });

  it('is measured by layers and bytes, half of the way being the download', () => {
    const image = {
      ...IMAGE,
      layers_done: 1,
      layers_total: 3,
      bytes_done: 30_000_000,
      bytes_extracted: 10_000_000,
      bytes_total: 40_000_000
    };
    const run = makeRun({ status: 'pulling_image', image });
    expect(waitingText(run, 0, trans)).toBe(
      `Pulling python:3.11-slim: 1 of 3 layers, ${formatBytes(30_000_000)} of ${formatBytes(40_000_000)}`
    );
    expect(pulledPart(run)).toBe(0.5);
  });

  it('is not mentioned once the run has begun', () => {
    const run = makeRun({ status: 'running', image: { ...IMAGE, layers_total: 3 } });
    expect(waitingText(run, 0, trans)).toBe('');
    expect(pulledPart(run)).toBeNull();
  });
});
