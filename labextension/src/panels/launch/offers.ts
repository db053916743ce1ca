// The datasets that a launch dialog offers. They outlive the form, which is made anew when the
// server refuses a run.

import type { LabApi } from '../../api/lab.js';
import type { Dataset, DatasetVersion } from '../../api/schema.js';

const MOST_OFFERED = 1000;
const URL_SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;

/** What there is to bind, and what is registered meanwhile. */
export class DatasetOffers {
  private known: Dataset[] = [];
  private versionLists = new Map<string, Promise<readonly DatasetVersion[]>>();

  constructor(
    private readonly api: Pick<LabApi, 'listDatasets' | 'listDatasetVersions' | 'registerDataset'>
  ) {}

  /** Registered datasets, the latest first. */
  get datasets(): readonly Dataset[] {
    return this.known;
  }

  find(datasetId: string): Dataset | undefined {
    return this.known.find(({ id }) => id === datasetId);
  }

  /** Read what is registered. Where that fails, one can still be registered. */
  async load(): Promise<void> {
    try {
      this.known = (await this.api.listDatasets({ limit: MOST_OFFERED })).datasets;
    } catch {
      this.known = [];
    }
  }

  /** Register what is at a path below the server's root, or at a URL, as it is now. */
  async register(place: string): Promise<Dataset> {
    const dataset = await this.api.registerDataset(
      URL_SCHEME.test(place) ? { url: place } : { path: place }
    );
    this.known = [dataset, ...this.known.filter(({ id }) => id !== dataset.id)];
    this.versionLists.delete(dataset.id);
    return dataset;
  }

  /** The versions of a dataset, the latest first; none where they can not be read. */
  versions(datasetId: string): Promise<readonly DatasetVersion[]> {
    const read = this.versionLists.get(datasetId) ?? this.readVersions(datasetId);
    this.versionLists.set(datasetId, read);
    return read;
  }

  private async readVersions(datasetId: string): Promise<readonly DatasetVersion[]> {
    try {
      return (await this.api.listDatasetVersions(datasetId)).versions;
    } catch {
      this.versionLists.delete(datasetId); // the check says what is wrong with it
      return [];
    }
  }
}
