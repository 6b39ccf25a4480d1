import { Component, type FunctionComponent, createElement } from "preact";

/** Redraws only when a prop changes or a signal it read does. (preact/compat's memo, without compat.) */
export function memo<P extends object>(inner: FunctionComponent<P>): FunctionComponent<P> {
  class Memo extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>): boolean {
      const keys = new Set([...Object.keys(this.props), ...Object.keys(next)]) as Set<keyof P>;
      for (const key of keys) if (this.props[key] !== next[key]) return true;
      return false;
    }
    override render() {
      return createElement(inner, this.props as P);
    }
  }
  return Memo as unknown as FunctionComponent<P>;
}
