// The shell of a view in a notebook's output: reads our mime type, draws with JupyterLab's own
// transport. It needs no kernel, so the view is there again after a reload or a kernel restart.

import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ReactWidget } from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';
import type { ReactElement } from 'react';
import type { RunsApi } from '../../api/rest.js';
import type { RunsStream } from '../../api/stream.js';
import type { ICommands } from '../../commands.js';
import type { ITranslation } from '../../format.js';
import type { IViewContext } from '../../views/context.js';
import { parseCompared, type Compared } from '../../models/comparison.js';
import type * as Views from '../../views/index.js';
import { parseView, VIEW_MIME_TYPE, type ViewSpec } from '../../views/spec.js';
import type * as Comparison from '../compare/content.js';

type IRenderer = ReturnType<IRenderMimeRegistry['createRenderer']>;
type MimeModel = Parameters<IRenderer['renderModel']>[0];

/** What an output needs. */
export interface IViewOutputOptions {
  api: RunsApi;
  stream: RunsStream;
  commands: ICommands;
  rendermime: IRenderMimeRegistry;
  linkOf: (runId: string, line?: number) => string;
  trans: ITranslation;
}

/** A view in an output. */
export class ViewOutput extends ReactWidget implements IRenderer {
  private spec: ViewSpec | null = null;
  private compared: Compared | null = null;
  private comparison: typeof Comparison | null = null;
  private snapshot: MimeModel | null = null;
  private views: typeof Views | null = null;
  private readonly context: IViewContext;

  constructor(private readonly options: IViewOutputOptions) {
    super();
    this.addClass('jp-MelleaOutput');
    const { api, stream, commands, linkOf, trans } = options;
    this.context = {
      api,
      stream,
      commands,
      linkOf,
      trans,
      hasLinks: true,
      download: null,
      onSeed: null,
      loadLoops: () => import('../calls/lab.js'),
      drawSnapshot: host => this.drawSnapshot(host)
    };
  }

  /** Called by JupyterLab with the output, and again when the kernel has updated it. */
  async renderModel(model: MimeModel): Promise<void> {
    this.snapshot = model;
    const data = model.data[VIEW_MIME_TYPE];
    if ((data as { view?: unknown } | undefined)?.view === 'compare') {
      const compared = parseCompared(data);
      if (JSON.stringify(compared) !== JSON.stringify(this.compared)) {
        this.compared = compared; // else the same as before, so that what is drawn stays
      }
      this.comparison ??= await import('../compare/content.js');
    } else {
      this.spec = parseView(data);
    }
    this.views ??= await import('../../views/index.js');
    this.update();
    await this.renderPromise;
  }

  protected override render(): ReactElement | null {
    if (this.views === null) {
      return null;
    }
    if (this.compared !== null && this.comparison !== null) {
      return (
        <section
          className="jp-MelleaView"
          role="region"
          aria-label={this.options.trans.__('Comparison of Mellea runs')}
        >
          <this.comparison.CompareContent compared={this.compared} {...this.options} />
        </section>
      );
    }
    return this.spec === null ? (
      <p>{this.options.trans.__('This output is of another version of mellea-jupyter.')}</p>
    ) : (
      <this.views.View spec={this.spec} context={this.context} />
    );
  }

  /** The HTML that was saved beside our mime type, drawn as JupyterLab draws it: sanitised. */
  private drawSnapshot(host: HTMLElement): () => void {
    const { snapshot } = this;
    const { rendermime } = this.options;
    const mimeType = ['text/html', 'text/plain'].find(each => snapshot?.data[each] !== undefined);
    if (snapshot === null || mimeType === undefined) {
      return () => undefined;
    }
    const renderer = rendermime.createRenderer(mimeType);
    const model = rendermime.createModel({ data: snapshot.data, trusted: false });
    Widget.attach(renderer, host);
    void renderer.renderModel(model);
    return () => renderer.dispose();
  }
}
