"""Images from a bucket to this machine: `python cluster/fetch_images.py s3://BUCKET/images FOLDER`.

What is there with the same size stays. A bucket without images is told of and is no error: `digits`
and sine waves need none.
"""

import sys
from pathlib import Path

from pyarrow import fs


def main(source: str, target: str) -> int:
    """Copy; returns the exit code."""
    store, root = fs.FileSystem.from_uri(source)
    found = store.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
    files = [info for info in found if info.type == fs.FileType.File]
    for info in files:
        place = Path(target).expanduser() / info.path.removeprefix(root).lstrip("/")
        if place.exists() and place.stat().st_size == info.size:
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f".{place.name}.part")
        with store.open_input_stream(info.path) as stream, draft.open("wb") as file:
            while block := stream.read(1 << 20):
                file.write(block)
        draft.replace(place)
    print(f"{source}: {len(files)} files are in {target}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python cluster/fetch_images.py s3://BUCKET/images FOLDER")
    sys.exit(main(*sys.argv[1:]))
