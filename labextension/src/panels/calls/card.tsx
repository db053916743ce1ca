// The sampling loops of a run, as a card shows them: the attempt that is made, and the ladders. A
// module of its own: who draws the card loads it once the run has asked a model. It imports nothing
// of JupyterLab and draws by itself, since in the widget it has a React of its own.

import { useState, type ReactElement } from 'react';
import { createRoot } from 'react-dom/client';
import type { SamplingLoop } from '../../api/schema.js';
import { useSignal } from '../../components/hooks.js';
import { CallsModel } from '../../models/calls.js';
import type { ILoopsOptions } from '../../views/context.js';
import { Details, detailsTitle } from './Details.js';
import { outcomeText } from './grid.js';
import { Ladder } from './Ladder.js';
import { LoopHead } from './LoopHead.js';
import type { Opened } from './view.js';

const SHOWN_LOOPS = 3;

/** Draws the loops of a run into `host`, and keeps them current; what it returns takes them away. */
export function mount(host: HTMLElement, options: ILoopsOptions): () => void {
  const data = new CallsModel(options.run.id, options.api, options.stream);
  const root = createRoot(host);
  root.render(<CardLoops {...options} data={data} />);
  return () => {
    root.unmount();
    data.dispose();
  };
}

/** The newest loops; nothing where there are none. */
export function CardLoops(props: ILoopsOptions & { data: CallsModel }): ReactElement | null {
  const { run, data, api, trans } = props;
  useSignal(data.changed);
  const [turned, setTurned] = useState<Record<number, boolean>>({});
  const [opened, setOpened] = useState<Opened | null>(null);
  const outer = data.loops.filter(loop => loop.parent === null);
  const shown = outer.slice(-SHOWN_LOOPS);
  const active = data.loops.findLast(loop => loop.status === 'active');
  if (outer.length === 0) {
    return null;
  }
  return (
    <div className="jp-MelleaCard-loops">
      {active && <Attempt loop={active} text={outcomeText(active, trans)} />}
      {outer.length > shown.length && (
        <p className="jp-MelleaRun-meaning">
          {trans._n('%1 loop before', '%1 loops before', outer.length - shown.length)}
        </p>
      )}
      {shown.map(loop => {
        const isOpen = turned[loop.loop] ?? outer.length === 1;
        return (
          <section key={loop.loop} aria-label={trans.__('Loop %1', loop.loop)}>
            <LoopHead
              loop={loop}
              first={data.calls.find(call => call.loop === loop.loop)}
              isOpen={isOpen}
              onTurn={() => setTurned({ ...turned, [loop.loop]: !isOpen })}
              trans={trans}
            />
            {isOpen && (
              <div className="jp-MelleaLoop-body">
                <Ladder loop={loop} opened={opened} onOpen={setOpened} trans={trans} />
              </div>
            )}
          </section>
        );
      })}
      {opened && (
        <section className="jp-MelleaCalls-opened" aria-label={detailsTitle(opened, trans)}>
          <header>
            <h4>{detailsTitle(opened, trans)}</h4>
            <button
              type="button"
              className="jp-MelleaButton jp-mod-link"
              onClick={() => setOpened(null)}
            >
              {trans.__('Close')}
            </button>
          </header>
          <Details
            run={run}
            data={data}
            api={api}
            opened={opened}
            onOpen={setOpened}
            onShowLine={null}
            trans={trans}
          />
        </section>
      )}
    </div>
  );
}

/** `attempt 2 of 5` with a bar. */
function Attempt({ loop, text }: { loop: SamplingLoop; text: string }): ReactElement {
  const attempt = Math.max(1, ...loop.attempts.map(each => each.attempt));
  return (
    <p className="jp-MelleaCard-progress">
      <progress value={attempt} max={loop.budget ?? attempt} aria-label={text} />
      <span>{text}</span>
    </p>
  );
}
