/** Line icons on a 16 px grid; decoration only, the button around them carries the name. */
const kPaths = {
  theme: "M8 2a6 6 0 1 0 0 12zM8 2v12",
  help: "M5.8 6a2.2 2.2 0 1 1 3.2 2c-.7.4-1 .8-1 1.6M8 12.2v.1",
  leave: "M9 3H4v10h5M7 8h7M11.5 5.5 14 8l-2.5 2.5",
  close: "M4 4l8 8M12 4l-8 8",
  plus: "M8 3v10M3 8h10",
  copy: "M6 6h7v7H6zM10 6V3H3v7h3",
  arrow: "M3 8h10M9 4l4 4-4 4",
} as const;

export function Icon({ name }: { name: keyof typeof kPaths }) {
  return (
    <svg class="glyph" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      {name === "theme" ? (
        <>
          <circle cx="8" cy="8" r="6" fill="none" />
          <path d="M8 2a6 6 0 0 1 0 12z" class="solid" />
        </>
      ) : (
        <path d={kPaths[name]} fill="none" />
      )}
      {name === "help" && <circle cx="8" cy="8" r="6.5" fill="none" />}
    </svg>
  );
}

/** The mark: five tiles, one of them free. */
export function Mosaic({ size = 22 }: { size?: number }) {
  return (
    <svg class="mosaic" viewBox="0 0 32 32" width={size} height={size} aria-hidden="true">
      <rect x="2" y="2" width="17" height="12" rx="2" class="m1" />
      <rect x="21" y="2" width="9" height="19" rx="2" class="m2" />
      <rect x="2" y="16" width="8" height="14" rx="2" class="m3" />
      <rect x="12" y="16" width="7" height="14" rx="2" class="m4" />
      <rect x="21.75" y="23.75" width="7.5" height="5.5" rx="1.5" class="m5" />
    </svg>
  );
}
