"""transforms.py > table/testdata/transforms.tsv

What PyIceberg makes of values by Iceberg's partition transforms: Iceberg type, transform, value, result. Texts and bytes
are in hex; decimals, dates and timestamps are the integers that they are stored as.
"""
from decimal import Decimal
from pyiceberg import types as T
from pyiceberg.transforms import (BucketTransform, DayTransform, HourTransform, IdentityTransform, MonthTransform,
                                  TruncateTransform, YearTransform)

INT = [0, 1, -1, 9, 10, 11, -9, -10, -11, 34, 2**31 - 1, -2**31 + 100]
LONG = INT + [2**63 - 1, -2**63 + 100, 1 << 40]
DATES = [0, 1, -1, 17486, -354285, 2932896, -365, -366, 59, -719162]
MICROS = [0, 1, -1, 1510871468000001, -3600000000, -3600000001, -86400000000, -86400000001, -30610224000000000, 253402300799999999, 1709164800000000]
TEXTS = ["", "iceberg", "ab", "abc", "abcd", "éÄ漢字😀x", "ñandú"]
BYTES = [b"", b"\x00\x01\x02\x03", b"\xff\xfe", b"abcdef"]
UNSCALED = [0, 1, -1, 1420, -1420, 1465, -1465, 99999999999999999999999, -12345678901234567890, 49, 50, -49, -50, -51]


def hexed(v):
    return v.hex() if isinstance(v, bytes) else v.encode().hex()


def rows(typ, values, transforms, show=str, value=lambda v: v):
    for t in transforms:
        f = t.transform(typ)
        for v in values:
            r = f(value(v))
            if isinstance(r, Decimal):
                r = int(r.scaleb(2))
            print("\t".join([str(typ), str(t), show(v), hexed(r) if isinstance(r, (str, bytes)) else str(r)]))


buckets = [BucketTransform(16), BucketTransform(2147483647)]
times = [YearTransform(), MonthTransform(), DayTransform()]
rows(T.BooleanType(), [True, False], [IdentityTransform()])
rows(T.IntegerType(), INT, buckets + [IdentityTransform(), TruncateTransform(10), TruncateTransform(1)])
rows(T.LongType(), LONG, buckets + [IdentityTransform(), TruncateTransform(10), TruncateTransform(7)])
rows(T.StringType(), TEXTS, buckets + [IdentityTransform(), TruncateTransform(3)], hexed)
rows(T.BinaryType(), BYTES, buckets + [IdentityTransform(), TruncateTransform(3)], hexed)
rows(T.DecimalType(38, 2), UNSCALED, buckets + [IdentityTransform(), TruncateTransform(50), TruncateTransform(10)], value=lambda v: Decimal(v).scaleb(-2))
rows(T.DateType(), DATES, buckets + times + [IdentityTransform()])
rows(T.TimestampType(), MICROS, buckets + times + [HourTransform(), IdentityTransform()])
rows(T.TimestamptzType(), MICROS, buckets + times + [HourTransform(), IdentityTransform()])
