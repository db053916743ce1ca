// The dialog of a run's shares: with whom, as what, and how to end it. Changes take effect at once.

import { Dialog, ReactWidget } from '@jupyterlab/apputils';
import { useEffect, useState, type FormEvent, type ReactElement } from 'react';
import type { LabApi } from '../../api/lab.js';
import type { Run, Share, ShareList, ShareRole } from '../../api/schema.js';
import { describeError } from '../../components/errors.js';
import { formatExact, type ITranslation } from '../../format.js';
import { runTitle } from '../../models/statuses.js';

type ShareKind = Share['kind'];
type ShareApi = Pick<LabApi, 'listShares' | 'share' | 'unshare'>;

interface IShareProps {
  run: Run;
  api: ShareApi;
  trans: ITranslation;
}

/** Show the dialog. Resolves when it was closed. */
export async function shareRun(run: Run, api: ShareApi, trans: ITranslation): Promise<void> {
  const dialog = new ShareDialog({
    title: trans.__('Share %1', runTitle(run)),
    body: new ShareBody({ run, api, trans }),
    focusNodeSelector: '.jp-MelleaShare input, .jp-MelleaShare select',
    hasClose: true,
    buttons: [Dialog.okButton({ label: trans.__('Done') })]
  });
  await dialog.launch();
}

/** Enter in the form submits the form, not the dialog. */
class ShareDialog extends Dialog<unknown> {
  override handleEvent(event: Event): void {
    const isEnter = event.type === 'keydown' && (event as KeyboardEvent).key === 'Enter';
    const isInForm = event.target instanceof Element && event.target.closest('.jp-MelleaShare');
    if (!(isEnter && isInForm)) {
      super.handleEvent(event);
    }
  }
}

class ShareBody extends ReactWidget {
  constructor(private readonly options: IShareProps) {
    super();
    this.addClass('jp-MelleaShare-body');
  }

  protected override render(): ReactElement {
    return <ShareForm {...this.options} />;
  }
}

/** A principal in words. */
function nameOf(share: Pick<Share, 'kind' | 'name'>, trans: ITranslation): string {
  switch (share.kind) {
    case 'user':
      return share.name;
    case 'group':
      return trans.__('group %1', share.name);
    case 'everyone':
      return trans.__('everyone on this server');
  }
}

/** What the shares are, and a form for one more. */
export function ShareForm({ run, api, trans }: IShareProps): ReactElement {
  const [shares, setShares] = useState<readonly Share[] | null>(null);
  const [kind, setKind] = useState<ShareKind>('user');
  const [name, setName] = useState('');
  const [role, setRole] = useState<ShareRole>('viewer');
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');
  const [said, setSaid] = useState('');

  const act = async (ask: () => Promise<ShareList>, done: string): Promise<boolean> => {
    setBusy(true);
    setProblem('');
    setSaid('');
    try {
      setShares((await ask()).shares);
      setSaid(done);
      return true;
    } catch (error) {
      setProblem(describeError(error));
      return false;
    } finally {
      setBusy(false);
    }
  };
  useEffect(() => {
    void act(() => api.listShares(run.id), '');
  }, [api, run.id]);

  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const wanted = { kind, name: kind === 'everyone' ? '' : name.trim(), role };
    const done = trans.__('Shared with %1.', nameOf(wanted, trans));
    void act(() => api.share(run.id, wanted), done).then(isDone => isDone && setName(''));
  };
  const isComplete = kind === 'everyone' || name.trim() !== '';
  return (
    <div className="jp-MelleaShare">
      <form onSubmit={submit} aria-label={trans.__('Share with')}>
        <select
          className="jp-mod-styled"
          aria-label={trans.__('Share with')}
          value={kind}
          onChange={event => setKind(event.target.value as ShareKind)}
        >
          <option value="user">{trans.__('User')}</option>
          <option value="group">{trans.__('Group')}</option>
          <option value="everyone">{trans.__('Everyone')}</option>
        </select>
        <input
          className="jp-mod-styled"
          aria-label={trans.__('Name')}
          placeholder={kind === 'everyone' ? '' : trans.__('Name')}
          value={kind === 'everyone' ? '' : name}
          disabled={kind === 'everyone'}
          onChange={event => setName(event.target.value)}
        />
        <RoleSelect role={role} label={trans.__('Role')} onChange={setRole} trans={trans} />
        <button
          type="submit"
          className="jp-MelleaButton jp-mod-accept"
          disabled={isBusy || !isComplete}
        >
          {trans.__('Share')}
        </button>
      </form>
      <p className="jp-MelleaShare-note">
        {role === 'viewer'
          ? trans.__('A viewer reads all of it: log, calls with prompts, artifacts, source.')
          : trans.__(
              'An operator also cancels and retries it. A retry runs as yours, with your keys.'
            )}
      </p>
      {problem && (
        <p className="jp-MelleaShare-problem" role="alert">
          {problem}
        </p>
      )}
      <p className="jp-MelleaShare-said" role="status">
        {said}
      </p>
      {shares !== null && shares.length === 0 && (
        <p className="jp-MelleaShare-note">
          {trans.__('Only %1 and administrators see this run.', run.owner_id)}
        </p>
      )}
      {shares !== null && shares.length > 0 && (
        <ul aria-label={trans.__('Shared with')}>
          {shares.map(share => {
            const who = nameOf(share, trans);
            const since = trans.__('by %1, %2', share.shared_by, formatExact(share.shared_at));
            return (
              <li key={`${share.kind}:${share.name}`}>
                <span title={since}>{who}</span>
                <RoleSelect
                  role={share.role}
                  label={trans.__('Role of %1', who)}
                  isDisabled={isBusy}
                  onChange={changed => {
                    const wanted = { kind: share.kind, name: share.name, role: changed };
                    void act(() => api.share(run.id, wanted), trans.__('Changed.'));
                  }}
                  trans={trans}
                />
                <button
                  type="button"
                  className="jp-MelleaButton"
                  disabled={isBusy}
                  aria-label={trans.__('Revoke %1', who)}
                  onClick={() =>
                    void act(
                      () => api.unshare(run.id, share),
                      trans.__('Not shared with %1 any more.', who)
                    )
                  }
                >
                  {trans.__('Revoke')}
                </button>
              </li>
            );
          })}
        </ul>
      )}
    </div>
  );
}

function RoleSelect(props: {
  role: ShareRole;
  label: string;
  isDisabled?: boolean;
  onChange: (role: ShareRole) => void;
  trans: ITranslation;
}): ReactElement {
  const { trans } = props;
  return (
    <select
      className="jp-mod-styled"
      aria-label={props.label}
      value={props.role}
      disabled={props.isDisabled}
      onChange={event => props.onChange(event.target.value as ShareRole)}
    >
      <option value="viewer">{trans.__('Viewer')}</option>
      <option value="operator">{trans.__('Operator')}</option>
    </select>
  );
}
