"""Damage files as disks, file systems and power failures do."""

import random

#: The size of a disk's sector; files are damaged at such borders, and at smaller ones for short files.
SECTOR = 512


def flipped_bit(data, chance):
    place = chance.randrange(len(data) * 8)
    damaged = bytearray(data)
    damaged[place // 8] ^= 1 << place % 8
    return bytes(damaged)


def swapped_blocks(data, chance):
    blocks = _blocks(data, chance)
    first, second = chance.sample(range(len(blocks)), 2)
    blocks[first], blocks[second] = blocks[second], blocks[first]
    return b"".join(blocks)


def missing_block(data, chance):
    blocks = _blocks(data, chance)
    del blocks[chance.randrange(len(blocks))]
    return b"".join(blocks)


def doubled_block(data, chance):
    blocks = _blocks(data, chance)
    place = chance.randrange(len(blocks))
    return b"".join([*blocks[: place + 1], *blocks[place:]])


def zeroed_block(data, chance):
    blocks = _blocks(data, chance)
    place = chance.randrange(len(blocks))
    return b"".join([*blocks[:place], bytes(len(blocks[place])), *blocks[place + 1 :]])


def torn_end(data, chance):
    return data[: chance.randrange(len(data))]


def longer_end(data, chance):
    return data + chance.choice([b"\n", b"\0" * 100, data, b'{"type":"event","length":2}\n{}\n'])


def damaged_header(data, chance):
    """The first line, which has the event id, is that of another file."""
    header, _, rest = data.partition(b"\n")
    digits = [place for place, byte in enumerate(header) if chr(byte).isdigit()]
    place = chance.choice(digits)
    return header[:place] + str((header[place] - 47) % 10).encode() + header[place + 1 :] + b"\n" + rest


KINDS = (
    flipped_bit,
    swapped_blocks,
    missing_block,
    doubled_block,
    zeroed_block,
    torn_end,
    longer_end,
    damaged_header,
)


def _blocks(data, chance):
    size = min(SECTOR, len(data) // 4)
    size = chance.choice([size, max(size // 8, 1)])
    return [data[place : place + size] for place in range(0, len(data), size)]


def damages(data, count, seed=0):
    """Yield damaged copies of some data, and how each was damaged; none is as the original."""
    chance = random.Random(seed)
    while count:
        damage = chance.choice(KINDS)
        damaged = damage(data, chance)
        if damaged != data:
            count -= 1
            yield damaged, damage.__name__
