// What jsdom lacks and JupyterLab's packages or the viewer expect.

class FakeResizeObserver implements ResizeObserver {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
}

globalThis.ResizeObserver ??= FakeResizeObserver;
globalThis.DragEvent ??= class extends Event {} as unknown as typeof DragEvent;
globalThis.requestIdleCallback ??= callback => window.setTimeout(callback, 0);
globalThis.cancelIdleCallback ??= handle => window.clearTimeout(handle);
window.matchMedia ??= () => ({ matches: false }) as MediaQueryList;
