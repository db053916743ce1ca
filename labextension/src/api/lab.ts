// The endpoints that only JupyterLab needs; a widget elsewhere does without their code.

import { queryString, RunsApi, type IReadOptions } from './rest.js';
import type {
  ArtifactList,
  Run,
  RunCreate,
  SourceReply,
  UsageSeries,
  ArtifactPreview,
  ArtifactLink,
  Asset,
  AssetCreate,
  CheckReply,
  Dataset,
  DatasetCreate,
  DatasetPage,
  DatasetVersionList,
  Environment,
  EnvironmentList,
  EnvironmentPatch,
  GetDatasetsQuery,
  GetNotificationsQuery,
  ModelList,
  Notice,
  NoticePage,
  NotificationPreferencesPatch,
  NotificationSettings,
  RunCheck,
  Share,
  ShareList,
  ShareRequest,
  TestMailReply,
  UnreadCount
} from './schema.js';

/** The API of one server, as the lab uses it. */
export class LabApi extends RunsApi {
  createRun(body: RunCreate): Promise<Run> {
    return this.write('POST', 'runs', body);
  }

  listArtifacts(runId: string): Promise<ArtifactList> {
    return this.read(`runs/${runId}/artifacts`, {});
  }

  /** Memory, CPU time and cost over the run's time. */
  getUsage(runId: string, options?: IReadOptions): Promise<UsageSeries> {
    return this.read(`runs/${runId}/usage`, {}, options);
  }

  getSource(runId: string): Promise<SourceReply> {
    return this.read(`runs/${runId}/source`, {});
  }

  registerAsset(body: AssetCreate): Promise<Asset> {
    return this.write('POST', 'assets', body);
  }

  listModels(): Promise<ModelList> {
    return this.read('models', {});
  }

  /** What would be wrong with such a run; creates nothing. */
  checkRun(body: RunCheck, options: IReadOptions = {}): Promise<CheckReply> {
    return this.write('POST', 'runs/check', body, options.signal);
  }

  listEnvironments(): Promise<EnvironmentList> {
    return this.read('environments', {});
  }

  updateEnvironment(environmentId: string, patch: Partial<EnvironmentPatch>): Promise<Environment> {
    return this.write('PATCH', `environments/${environmentId}`, patch);
  }

  listDatasets(query: GetDatasetsQuery): Promise<DatasetPage> {
    return this.read('datasets', query);
  }

  listDatasetVersions(datasetId: string): Promise<DatasetVersionList> {
    return this.read(`datasets/${datasetId}/versions`, {});
  }

  /** Register what is at a path or URL now; the reply comes when all of it is read. */
  registerDataset(body: DatasetCreate): Promise<Dataset> {
    return this.write('POST', 'datasets', body);
  }

  listShares(runId: string): Promise<ShareList> {
    return this.read(`runs/${runId}/shares`, {});
  }

  /** Share a run, or change what a share allows; all its shares. */
  share(runId: string, body: ShareRequest): Promise<ShareList> {
    return this.write('POST', `runs/${runId}/share`, body);
  }

  /** Revoke a share; those that are left. */
  unshare(runId: string, { kind, name }: Pick<Share, 'kind' | 'name'>): Promise<ShareList> {
    return this.write('DELETE', `runs/${runId}/share${queryString({ kind, name })}`);
  }

  listNotices(query: GetNotificationsQuery, options?: IReadOptions): Promise<NoticePage> {
    return this.read('notifications', query, options);
  }

  markNotice(noticeId: string, read: boolean): Promise<Notice> {
    return this.write('PATCH', `notifications/${noticeId}`, { read });
  }

  /** Mark what was updated up to a time as read. */
  markNoticesRead(until: string): Promise<UnreadCount> {
    return this.write('POST', 'notifications/read', { until });
  }

  getNotificationSettings(options?: IReadOptions): Promise<NotificationSettings> {
    return this.read('users/me/notification-preferences', {}, options);
  }

  updateNotificationPreferences(
    patch: NotificationPreferencesPatch
  ): Promise<NotificationSettings> {
    return this.write('PATCH', 'users/me/notification-preferences', patch);
  }

  /** Send a mail now; null: wherever this user's mails go. */
  sendTestMail(address: string | null): Promise<TestMailReply> {
    return this.write('POST', 'users/me/notification-preferences/test-mail', {
      email_address: address
    });
  }

  /** Make a link to an artifact that works without a token, for the server's usual time. */
  createArtifactLink(runId: string, artifactId: string): Promise<ArtifactLink> {
    return this.write('POST', `runs/${runId}/artifacts/${artifactId}/url`, {});
  }

  getDataset(datasetId: string): Promise<Dataset> {
    return this.read(`datasets/${datasetId}`, {});
  }

  /** What an artifact begins with, its secrets masked. */
  previewArtifact(
    runId: string,
    artifactId: string,
    options?: IReadOptions
  ): Promise<ArtifactPreview> {
    return this.read(`runs/${runId}/artifacts/${artifactId}/preview`, {}, options);
  }
}
