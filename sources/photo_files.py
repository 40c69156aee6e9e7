"""One photo: read it, or say what is wrong with it."""

import contextlib
import os
import re
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

with contextlib.suppress(ImportError):  # some platforms have no wheel of it; a HEIC file is then named with the cure
    import pillow_heif

    pillow_heif.register_heif_opener()
Image.init()
READS = "JPEG MPO PNG WEBP GIF BMP TIFF AVIF HEIF JPEG2000 PPM"
FORMATS = [name for name in READS.split() if name in Image.OPEN]  # none that starts another program, as EPS would
RAW = re.compile(r".*\.(dng|nef|cr[23]|arw|orf|rw2|raf|pef)", re.IGNORECASE)  # Pillow would read their thumbnails
MEANT = re.compile(  # file names that a photo has
    rf"{RAW.pattern}|.*\.(jpe?g?|jfif|jif|mpo|a?png|webp|bmp|dib|gif|tiff?|avif|hei[cf]|hif|jp2|j2k|jp[xf]|p[gpbn]m|jxl|icloud)",
    re.IGNORECASE,
)
AS_JPEG = "save it as JPEG"
KINDS = {  # what a file is by its first bytes, where it is no photo that can be read, and what to do
    rb"version https://git-lfs": "a git-lfs pointer, not the photo itself: run `git lfs pull` in its repository",
    rb"(/|\.\./)*(\.git/)?annex/objects": "a git-annex pointer, not the photo itself: run `git annex get`",
    rb"\s*<(!doctype\s+)?html": "a web page saved as a photo: download the photo itself",
    rb"(\s*<\?xml.*)?\s*<svg": "an SVG drawing: export it as PNG",
    rb"....ftyp(hei|hev|mif1|msf1)": f"a HEIC photo, which is not read here: {AS_JPEG}, or install pillow-heif",
    rb"....ftypavi": f"an AVIF photo that can't be read: {AS_JPEG}",
    rb"....ftypcrx|FUJIFILMCCD-RAW": f"a camera's raw file: {AS_JPEG}",
    rb"....(ftyp|moov|mdat)|RIFF....AVI ": "a video: take a still from it",
    rb"bplist": "a placeholder of iCloud, which keeps the photo: download it",
    rb"\xff\x0a|\0\0\0\x0cJXL ": f"a JPEG XL photo: {AS_JPEG}",
    rb"8BPS": f"a Photoshop file: {AS_JPEG}",
    rb"%!PS": "a PostScript drawing: export it as PNG",
    rb"%PDF": "a PDF: export its photo as JPEG",
    rb"PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b": "an archive: unpack it",
    rb"\0{16}": "nothing but zeros, a copy that broke off: get the file again",
}
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
warnings.filterwarnings("ignore", module=r"PIL\.")  # they name no file; what stops a photo is a PhotoError


class PhotoError(ValueError):
    """A photo or a photo folder can't be used. The message names it, says why, and what to do next."""


def read(path: str | Path, size: int | None = None) -> np.ndarray:
    """Read a photo, upright and in colour.

    Grey, palette, CMYK and 16-bit pictures become RGB; transparent ones are laid on white; a camera's rotation note
    (EXIF) is obeyed. A photo that is nearly all black or white is named in a warning.

    Args:
        path: the file; its content says what it is, not its suffix.
        size: height and width in pixels to resize to (bilinear); None keeps the photo's own.

    Returns:
        uint8 RGB [h, w, 3], or [size, size, 3].

    Raises:
        PhotoError: the file can't be decoded whole, or has 32-bit pixels of no known range.
    """
    pixels, colour = _decode(path, size)
    if colour:
        warnings.warn(f"{shown(path)} is nearly all {colour}.", stacklevel=2)
    return pixels


def read_all(paths: Sequence[Path], size: int) -> np.ndarray:
    """Decode photos into memory: uint8 [n, size, size, 3]. A thousand photos of 128 pixels take 49 MB.

    Raises:
        PhotoError: some can't be decoded. All of them are counted, the first five named.
    """
    pixels = np.empty((len(paths), size, size, 3), np.uint8)
    broken, single = examine(paths, size, pixels)
    if broken:
        raise undecodable(broken, len(paths))
    if single:
        warnings.warn(f"of one colour: {some(single.values())}.", stacklevel=3)
    return pixels


def undecodable(broken: dict[int, str], total: int) -> PhotoError:
    """Return the error that names photos which can't be decoded; broken is what `faults` returns."""
    left = "photos.readable(photo_set) gives the set without them."
    names = some([said.rstrip(".") for said in broken.values()])
    return PhotoError(f"{len(broken)} of {total} photos can't be decoded: {names}. {left}")


def faults(paths: Sequence[Path]) -> dict[int, str]:
    """Decode photos, and return {position: what is wrong} for those that can't be."""
    return examine(paths)[0]


def examine(
    paths: Sequence[Path], size: int = 64, into: np.ndarray | None = None
) -> tuple[dict[int, str], dict[int, str]]:
    """Decode photos to size x size, and keep the pixels in `into` (uint8 [n, size, size, 3]) where it is given.

    Returns:
        {position: what is wrong} for those that can't be decoded, {position: what it shows} for those of one colour.
    """

    def look(position):
        try:
            pixels, colour = _decode(paths[position], size)
        except PhotoError as error:
            return "broken", str(error)
        if into is not None:
            into[position] = pixels
        return colour and "single", f"{shown(paths[position])} is nearly all {colour}"

    with ThreadPoolExecutor(2) as pool:
        found = list(enumerate(pool.map(look, range(len(paths)))))
    broken, single = ({n: said for n, (kind, said) in found if kind == wanted} for wanted in ("broken", "single"))
    return broken, single


def header(path: Path) -> tuple[int, int]:
    """Return a photo's width and height in pixels; only its first bytes are read.

    Raises:
        PhotoError: it is no photo that can be read. The message is what it is instead, without its name.
    """
    try:
        if RAW.fullmatch(path.name):
            raise PhotoError(f"a camera's raw file: {AS_JPEG}")
        if not path.is_file() and path.exists():
            raise PhotoError("neither a file nor a folder")  # a pipe, which would be waited for
        with Image.open(path, formats=FORMATS) as image:
            _check_depth(image)
            return image.size
    except PhotoError:
        raise
    except Exception as error:  # Pillow and its plugins have no common one
        raise PhotoError(_why(path, error)) from None


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 photo" or "2 photos"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def some(names: Iterable[str], most: int = 5) -> str:
    """Return the first of many names, and how many more there are."""
    names = list(names)
    return "; ".join(names[:most]) + (f"; and {len(names) - most} more" if len(names) > most else "")


def _decode(path, size):
    """Return a photo's pixels, and the one colour that it seems to have (str or None)."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            _check_depth(image)
            if size:
                image.draft("RGB", (size, size))  # lets a large JPEG be decoded at a fraction of its size
            image.load()
            bits = getattr(image, "tag_v2", {}).get(ExifTags.Base.BitsPerSample, [16])[0]
            turn = TURNS.get(_orientation(image))
            dark = image.mode.startswith("I") and (most := np.asarray(image).max()) < 2 ** (bits - 4)
            image = _rgb(image.transpose(turn) if turn is not None else image, bits)
            pixels = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR) if size else image)
            return pixels, f"black (its largest value is {most} of {2**bits - 1})" if dark else _single_colour(pixels)
    except Exception as error:  # Pillow and its plugins have no common one
        said = str(error) if isinstance(error, PhotoError) else _why(path, error)
        raise PhotoError(f"{shown(path)} can't be decoded: {said}.") from None


def _orientation(image):
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # a damaged note of the camera; the pixels may be fine
        return None


def _check_depth(image):
    if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
        raise PhotoError(
            "its pixels have 32 bits, and nothing says which of them are black and white: save it with 8 bits, in an "
            "image editor or with `magick FILE -auto-level -depth 8 NEW.png`"
        )


def _rgb(image, bits):
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):  # 16 bits, or fewer in 16
        return Image.fromarray((np.asarray(image) >> (bits - 8)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _single_colour(pixels):
    step = 1 + min(pixels.shape[:2]) // 32  # some of the pixels tell as well as all
    sample = pixels[::step, ::step]
    if 8 < sample.mean() < 247:
        return None
    return "black" if np.mean(sample < 6) > 0.99 else "white" if np.mean(sample > 249) > 0.99 else None


def _why(path, error):
    """Return what is wrong with a file that Pillow refused, and what to do."""
    if isinstance(error, MemoryError | Image.DecompressionBombError):
        pixels = re.search(r"\d+", str(error))
        large = f"{int(pixels[0]) / 1e6:.0f} megapixels" if pixels else "more than the memory holds"
        how = "save it with 4000 pixels a side at most, in a photo editor or with `magick FILE -resize 4000x4000 FILE`"
        return f"too large ({large}): shrink it; {how}"
    try:
        with open(path, "rb") as file:
            first = file.read(512)
    except FileNotFoundError:
        link = os.path.islink(path)
        return "a link that leads nowhere: connect its drive, or remove it" if link else "not there: check its name"
    except OSError as unreadable:
        return f"it can't be opened: {unreadable.strerror}"
    if not first:
        return "empty file: get it again"
    text = first.removeprefix(b"\xef\xbb\xbf")
    known = [words for start, words in KINDS.items() if re.match(start, text, re.IGNORECASE | re.DOTALL)]
    if isinstance(error, Image.UnidentifiedImageError):
        return (known or ["no photo in a format that is read here: JPEG, PNG, WEBP, TIFF, AVIF, HEIC and others"])[0]
    return f"damaged ({' '.join(str(error).split())[:100] or type(error).__name__}): remove it or get the file again"


def shown(path: str | Path) -> str:
    """Return a path as text that can be printed, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
