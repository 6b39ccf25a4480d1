/** One server-sent event. */
export interface SseEvent {
  event: string;
  id: string;
  data: string;
}

/**
 * Splits a text/event-stream into events. Feed it text as it arrives, in pieces of any size; it
 * keeps what is incomplete. Comments and fields other than event, id and data are dropped.
 */
export class SseParser {
  private rest = "";
  private event = "";
  private id = "";
  private data: string[] = [];

  constructor(private readonly emit: (event: SseEvent) => void) {}

  feed(text: string): void {
    // A carriage return at the very end may be half of "\r\n": it waits for the next piece.
    const buffer = this.rest + text;
    const held = buffer.endsWith("\r") ? 1 : 0;
    const lines = buffer.slice(0, buffer.length - held).split(/\r\n|\n|\r/);
    this.rest = (lines.pop() ?? "") + (held ? "\r" : "");
    for (const line of lines) this.line(line);
  }

  private line(line: string): void {
    if (line === "") {
      if (this.data.length > 0 || this.event !== "")
        this.emit({ event: this.event || "message", id: this.id, data: this.data.join("\n") });
      this.event = "";
      this.data = [];
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.event = value;
    else if (field === "id") this.id = value;
    else if (field === "data") this.data.push(value);
  }
}
