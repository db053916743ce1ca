// Opens runs: one tab each, restored with the layout, and by the link `lab?mellea-run=<id>`.

import {
  ILayoutRestorer,
  IRouter,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { WidgetTracker, type MainAreaWidget } from '@jupyterlab/apputils';
import { IEditorServices } from '@jupyterlab/codeeditor';
import { CodeEditor } from '@jupyterlab/codeeditor';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { CommandIDs, RUN_ARGS } from '../commands.js';
import { RunPanel } from '../panels/run/index.js';
import type { ISourcePlace, SourceEditor } from '../panels/run/source.js';
import { IMelleaRuns } from '../tokens.js';
import { labUrl, showTab } from './tabs.js';

const RUN_PARAMETER = 'mellea-run';
const LINE_PARAMETER = 'mellea-line';

/** The address of a run, or of a line of its log. */
export function linkOf(runId: string, line?: number): string {
  const place = line === undefined ? '' : `&${LINE_PARAMETER}=${line}`;
  return labUrl(`${RUN_PARAMETER}=${encodeURIComponent(runId)}${place}`);
}

/** Run tabs. */
export const runPlugin: JupyterFrontEndPlugin<void> = {
  id: 'mellea-jupyter:run',
  description: 'A tab for each run that is opened.',
  autoStart: true,
  requires: [IMelleaRuns],
  optional: [ITranslator, ILayoutRestorer, IRouter, IEditorServices],
  activate: (
    app: JupyterFrontEnd,
    mellea: IMelleaRuns,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null,
    router: IRouter | null,
    editors: IEditorServices | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('mellea_jupyter');
    const tracker = new WidgetTracker<MainAreaWidget<RunPanel>>({ namespace: 'mellea-run' });
    const { commands, shell } = app;

    const open = (runId: string, line: number | null, place: ISourcePlace | null = null): void => {
      const known = tracker.find(widget => widget.content.model.runId === runId);
      if (known) {
        shell.activateById(known.id);
        if (line !== null) {
          known.content.reveal(line);
        }
        if (place !== null) {
          known.content.showSource(place);
        }
        return;
      }
      const content = new RunPanel({
        ...mellea,
        runId,
        line,
        commands,
        linkOf,
        editor: editors ? sourceEditor(editors) : null,
        trans
      });
      if (place !== null) {
        content.showSource(place);
      }
      const widget = showTab(shell, {
        content,
        id: `mellea-run-tab-${runId}`,
        type: 'Mellea run',
        url: linkOf(runId, line ?? undefined)
      });
      if (widget) {
        void tracker.add(widget);
      }
    };

    commands.addCommand(CommandIDs.openRun, {
      label: trans.__('Open run'),
      caption: trans.__('Open a Mellea run in a tab'),
      describedBy: { args: RUN_ARGS },
      execute: args => {
        const runId = args['runId'] ?? runIdUnderMenu(app);
        if (typeof runId === 'string') {
          const place = (args['source'] as ISourcePlace | undefined) ?? null;
          open(runId, typeof args['line'] === 'number' ? args['line'] : null, place);
        }
      }
    });

    void restorer?.restore(tracker, {
      command: CommandIDs.openRun,
      args: widget => ({ runId: widget.content.model.runId }),
      name: widget => widget.content.model.runId
    });

    if (router) {
      commands.addCommand(CommandIDs.openFromLink, {
        label: trans.__('Open run from link'),
        describedBy: { args: { type: 'object', properties: { search: { type: 'string' } } } },
        execute: async args => {
          const parameters = new URLSearchParams(String(args['search'] ?? ''));
          if (parameters.has('reset')) {
            return; // a second tab gets a fresh workspace first, and the link again after that
          }
          const runId = parameters.get(RUN_PARAMETER);
          const line = Number(parameters.get(LINE_PARAMETER));
          if (runId) {
            await app.restored;
            open(runId, line > 0 ? line : null);
            parameters.delete(RUN_PARAMETER);
            parameters.delete(LINE_PARAMETER);
            const rest = parameters.toString();
            const path = router.current.path + (rest ? `?${rest}` : '');
            router.navigate(path, { skipRouting: true });
          }
        }
      });
      router.register({
        command: CommandIDs.openFromLink,
        pattern: new RegExp(`[?&]${RUN_PARAMETER}=`),
        rank: 50
      });
    }
  }
};

/** The run whose item was right-clicked. */
export function runIdUnderMenu(app: JupyterFrontEnd): string | undefined {
  const item = app.contextMenuHitTest(node => node.dataset['runId'] !== undefined);
  return item?.dataset['runId'];
}

function sourceEditor(editors: IEditorServices): SourceEditor {
  return (host, text, path, line) => {
    const mimeType = editors.mimeTypeService.getMimeTypeByFilePath(path);
    const model = new CodeEditor.Model({ mimeType });
    model.sharedModel.setSource(text);
    const editor = editors.factoryService.newDocumentEditor({
      host,
      model,
      config: { readOnly: true, lineNumbers: true }
    });
    host.querySelector('[role="textbox"]')?.setAttribute('aria-label', path);
    const length = line === null ? undefined : text.split('\n')[line - 1]?.length;
    if (line !== null && length !== undefined) {
      const selection = {
        start: { line: line - 1, column: 0 },
        end: { line: line - 1, column: length }
      };
      editor.setSelection(selection);
      editor.revealSelection(selection);
    }
    return {
      get isDisposed() {
        return editor.isDisposed;
      },
      dispose: () => {
        editor.dispose();
        model.dispose();
      }
    };
  };
}
