"""Remove the length from an audio file's header, so that a decoder reads to the end."""

import re

# Samples a second of MPEG-1, -2 and -2.5, by the version's two bits in a frame's header.
MPEG_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
# Bytes of side information between a frame's header and a Xing header, by MPEG-1 and mono.
SIDE_BYTES = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}
# A frame of 64 kbit/s, 112 in MPEG-1, is long enough for a Xing header.
MIDDLING_BITRATE = 8 << 4
# Programs that write to a pipe claim about all that the field can hold, of 64 and of 32 bits.
UNKNOWN_CLAIM, UNKNOWN_WAV_CLAIM = 1 << 62, 0x7FFF_0000
# Bytes that a WAV may lack of what it claims.
MISCOUNTED = 256
LEAST_FRAME = 24  # bytes: 8 kbit/s at 24 kHz


def without_length(content: bytes) -> tuple[bytes, int | None]:
    """A file's content without a stated length, and the length that it stated.

    In FLAC the length in the header is replaced by the value for "unknown". MP3 without a stated
    length, which decoders guess from the first frames, gets a header with one that is too long.
    Everything else stays as it is.

    Returns:
        The content, and the samples a channel; None where no length is stated.
    """
    if content[:4] == b"fLaC" and len(content) > 26:
        # 36 bits at the end of 8 bytes, after rate, channels and width: 0 stands for unknown.
        field = int.from_bytes(content[18:26], "big")
        stated = field & (1 << 36) - 1
        unknown = (field - stated).to_bytes(8, "big")
        return content[:18] + unknown + content[26:], stated or None
    start = _after_tag(content)
    if _is_mp3(content[start : start + 4]) and not _has_length(content[start : start + 200]):
        return content[:start] + _long_header(content[start:]) + content[start:], None
    return content, None


def impossible_claim(content: bytes) -> int | None:
    """The samples or bytes that a SPHERE, W64, RF64 or WAV header claims, if no such file has them.

    Decoders read what is there. A file that was cut short is not meant, nor one of unknown length.
    """
    claimed = 0
    if content[:7] == b"NIST_1A" and (
        found := re.search(rb"sample_count -i (\d+)", content[:1024])
    ):
        claimed = int(found[1])
    elif content[:4] == b"riff" and (at := content.find(b"data")) > 0:
        claimed = int.from_bytes(content[at + 16 : at + 24], "little")
    elif content[:4] == b"RF64" and content[12:16] == b"ds64":
        claimed = int.from_bytes(content[28:36], "little")
    else:
        _, claimed = _wav_samples(content)
    # A bit is the least that a sample takes.
    return claimed if 8 * len(content) < claimed < UNKNOWN_CLAIM else None


def cut_short(content: bytes) -> tuple[int, int] | None:
    """The bytes of samples that a WAV has and that its header claims, if many are missing.

    A few may be: some programs count the header itself.
    """
    there, claimed = _wav_samples(content)
    return (there, claimed) if claimed - there > max(MISCOUNTED, claimed // 100) else None


def _wav_samples(content: bytes) -> tuple[int, int]:
    """The bytes of samples that a WAV has, and that its header claims; 0 where it does not know."""
    if content[:4] != b"RIFF":
        return 0, 0
    at = 12
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        if content[at : at + 4] == b"data":
            return len(content) - at - 8, size if size < UNKNOWN_WAV_CLAIM else 0
        # Chunks begin at even bytes.
        at += 8 + size + size % 2
    return 0, 0


def _after_tag(content: bytes) -> int:
    """Bytes of the ID3 tag that the content begins with, if any."""
    if content[:3] != b"ID3" or len(content) < 10:
        return 0
    size = 0
    for byte in content[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if content[5] & 0x10 else 0)


def _is_mp3(header: bytes) -> bool:
    """Whether these bytes begin a frame of MPEG layer III."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return False
    version, bitrate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    return version in MPEG_RATES and 0 < bitrate < 15 and rate < 3


def _has_length(frame: bytes) -> bool:
    return any(mark in frame for mark in (b"Xing", b"Info", b"VBRI"))


def _long_header(content: bytes) -> bytes:
    """A frame with a Xing header that states the most frames that `content` can hold."""
    version, mono = content[1] >> 3 & 3, content[3] >> 6 == 3
    rate = MPEG_RATES[version][content[2] >> 2 & 3]
    size = 144 * 112_000 // rate if version == 3 else 72 * 64_000 // rate
    # Without a checksum and padding; rate and channels as in the frames that follow.
    head = bytes([content[0], content[1] | 1, MIDDLING_BITRATE | content[2] & 0x0C, content[3]])
    frames = (len(content) // LEAST_FRAME + 1).to_bytes(4, "big")
    xing = b"Xing" + (1).to_bytes(4, "big") + frames
    return (head + bytes(SIDE_BYTES[version == 3, mono]) + xing).ljust(size, b"\0")
