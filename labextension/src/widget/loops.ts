// The second module of the widget: the loops of a card, which come through the kernel when a run has
// asked a model. With its style, since anywidget knows of one style sheet only.

import css from '../../style/calls.css';
import type { ILoopsModule } from '../views/context.js';
import { mount as draw } from '../panels/calls/card.js';

export const mount: ILoopsModule['mount'] = (host, options) => {
  const style = document.createElement('style');
  style.textContent = css;
  const place = document.createElement('div');
  host.append(style, place);
  const remove = draw(place, options);
  return () => {
    remove();
    host.replaceChildren();
  };
};
