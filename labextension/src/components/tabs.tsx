// Tabs as in the ARIA authoring practices: arrow keys move, the panel follows.

import { useId, useRef, type KeyboardEvent, type ReactElement, type ReactNode } from 'react';

/** One tab and what it shows. */
export interface ITab {
  id: string;
  label: string;
  content: () => ReactNode;
}

/** A row of tabs and the panel of the chosen one. */
export function Tabs(props: {
  tabs: readonly ITab[];
  current: string;
  onChange: (id: string) => void;
  label: string;
}): ReactElement {
  const { tabs, current, onChange } = props;
  const prefix = useId();
  const row = useRef<HTMLDivElement>(null);
  const at = Math.max(
    0,
    tabs.findIndex(tab => tab.id === current)
  );
  const onKeyDown = (event: KeyboardEvent): void => {
    const steps: Record<string, number> = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1 + tabs.length,
      Home: 0,
      End: tabs.length - 1
    };
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      const index = step % tabs.length;
      onChange(tabs[index]?.id ?? current);
      row.current?.querySelectorAll<HTMLElement>('[role="tab"]')[index]?.focus();
    }
  };
  const shown = tabs[at];
  return (
    <>
      <div
        className="jp-MelleaTabs"
        role="tablist"
        aria-label={props.label}
        ref={row}
        onKeyDown={onKeyDown}
      >
        {tabs.map((tab, index) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`${prefix}-${tab.id}`}
            aria-selected={index === at}
            aria-controls={index === at ? `${prefix}-panel` : undefined}
            tabIndex={index === at ? 0 : -1}
            onClick={() => onChange(tab.id)}
          >
            {tab.label}
          </button>
        ))}
      </div>
      <div
        className="jp-MelleaTabs-panel"
        role="tabpanel"
        id={`${prefix}-panel`}
        aria-labelledby={`${prefix}-${shown?.id ?? ''}`}
      >
        {shown?.content()}
      </div>
    </>
  );
}
