// Tabs in the main area, and what takes their place where there is none.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget } from '@jupyterlab/apputils';
import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import type { Widget } from '@lumino/widgets';

/** An address of the lab; `query` is what it is to open. */
export function labUrl(query: string): string {
  return `${URLExt.join(PageConfig.getBaseUrl(), 'lab')}?${query}`;
}

/** How a tab is shown. */
export interface ITabOptions<T extends Widget> {
  content: T;
  id: string;
  type: string;
  /** The address that shows the same where a shell has no main area, as that of Notebook. */
  url: string;
}

/** Show a tab. Null when it was opened in a browser tab instead; `content` is disposed then. */
export function showTab<T extends Widget>(
  shell: JupyterFrontEnd.IShell,
  { content, id, type, url }: ITabOptions<T>
): MainAreaWidget<T> | null {
  const widget = new MainAreaWidget({ content });
  widget.id = id;
  widget.toolbar.hide();
  shell.add(widget, 'main', { type });
  if (!widget.isAttached) {
    widget.dispose();
    window.open(url, '_blank', 'noopener');
    return null;
  }
  shell.activateById(widget.id);
  return widget;
}
