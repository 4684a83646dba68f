"""fsck.py WAREHOUSE

Checks every table of an embedded warehouse, or of the reference REST server's directory, against
the rules of Iceberg v2 and v3 and of cdcd's own marks, snapshot by snapshot, down to the bytes of
each deletion vector. It shares no code with what wrote them: Avro is read by fastavro, Parquet by
pyarrow, bitmaps by pyroaring. Prints a line a table; exits 1 if a rule is broken.
env: S3_ROOT, the directory that holds the buckets of an S3 server.
"""
import json, os, re, sqlite3, struct, sys, zlib

import fastavro
import pyarrow.parquet as parquet
import pyroaring

DATA, DELETES = 0, 1
EXISTING, ADDED, DELETED = 0, 1, 2
PATH, POS = 2147483546, 2147483545  # field ids of a file of positions
OWN = re.compile(r"e\d+-k\d+-")  # how cdcd's files begin


def local(location):
    for scheme in ("file://", "file:"):
        if location.startswith(scheme):
            return location[len(scheme):]
    if location.startswith("s3://"):
        return os.path.join(os.environ["S3_ROOT"], location[len("s3://"):])
    return location


class Table:
    def __init__(self, name, metadata):
        self.name, self.meta = name, metadata
        self.broken = []
        self.counts = dict(snapshots=0, manifests=0, files=0, vectors=0)
        self.parquet_rows = {}
        self.parsed = {}

    def rule(self, holds, what, *where):
        if not holds and len(self.broken) < 20:
            self.broken.append(" ".join(map(str, (what,) + where)))

    # the table ----------------------------------------------------------------------------

    def check(self):
        m = self.meta
        self.rule(m["format-version"] in (2, 3), "the format version is neither 2 nor 3")
        snapshots = sorted(m["snapshots"], key=lambda s: s["sequence-number"])
        # From this sequence number on the table was of version 3.
        self.lineage = min((s["sequence-number"] for s in snapshots if "first-row-id" in s), default=sys.maxsize)
        # Of what is older nothing is known where those snapshots have expired.
        self.before = ("2", "3") if all("first-row-id" in s for s in snapshots) else ("2",)
        self.rule(m["format-version"] == 3 or self.lineage == sys.maxsize, "row ids in a table of version 2")
        by_id = {s["snapshot-id"]: s for s in snapshots}
        self.rule(len(by_id) == len(snapshots), "two snapshots share an id")
        self.rule(len({s["sequence-number"] for s in snapshots}) == len(snapshots), "two snapshots share a sequence number")
        self.rule(all(s["sequence-number"] <= m["last-sequence-number"] for s in snapshots), "a sequence number beyond the last")
        for s in snapshots:
            parent = by_id.get(s.get("parent-snapshot-id"))
            if parent:
                self.rule(s["sequence-number"] > parent["sequence-number"], "a child is older than its parent", s["snapshot-id"])
                if "first-row-id" in parent:
                    self.rule(s["first-row-id"] >= parent["first-row-id"] + parent["added-rows"], "row ids of parent and child overlap", s["snapshot-id"])
            self.rule(("first-row-id" in s) == (s["sequence-number"] >= self.lineage), "first row id", s["snapshot-id"])
            self.snapshot(s, parent)
        self.marks(by_id)

    def marks(self, by_id):
        m, refs = self.meta, self.meta["refs"]
        current = by_id.get(m.get("current-snapshot-id"))
        if current is None:
            return
        main = refs["main"]["snapshot-id"]
        self.rule(main == m["current-snapshot-id"], "main is not the current snapshot")
        tag, named = refs["cdcd_pos"]["snapshot-id"], int(m["properties"]["cdcd.position-snapshot"])
        self.rule(tag == named, "tag and property name different snapshots")
        summary = by_id[tag]["summary"]
        for key, value in summary.items():
            if key.startswith("cdcd."):
                self.rule(m["properties"].get(key) == value, "a property differs from the mark", key)
        self.rule("cdcd_fence" in refs, "there is no fence")
        ancestors, at = set(), main
        while at in by_id:
            ancestors.add(at)
            at = by_id[at].get("parent-snapshot-id")
        self.rule(tag in ancestors, "the tag is outside of main's history")

    # a snapshot -----------------------------------------------------------------------------

    def snapshot(self, s, parent):
        sid = s["snapshot-id"]
        self.counts["snapshots"] += 1
        if "manifest-list" not in s:
            return
        with open(local(s["manifest-list"]), "rb") as f:
            reader = fastavro.reader(f)
            head, manifests = reader.metadata, list(reader)
        ids = s["sequence-number"] >= self.lineage
        self.rule(head["format-version"] == ("3" if ids else "2"), "manifest list: version", sid)
        self.rule(head["sequence-number"] == str(s["sequence-number"]), "manifest list: sequence number", sid)
        self.rule(head["snapshot-id"] == str(sid), "manifest list: snapshot", sid)
        if ids:
            self.rule(head.get("first-row-id") == str(s["first-row-id"]), "manifest list: first row id", sid)
        live = {"data": {}, "vectors": {}, "strays": [], "added": 0, "ranges": []}
        for m in sorted(manifests, key=lambda m: m["content"]):
            self.manifest(s, m, live)
        if ids:
            self.row_ids(s, live)
        self.summary(s, parent, live)

    def row_ids(self, s, live):
        sid = s["snapshot-id"]
        self.rule(live["added"] == s["added-rows"], "added-rows", sid, live["added"], s["added-rows"])
        ranges = sorted(live["ranges"])
        self.rule(all(a + n <= b for (a, n), (b, _) in zip(ranges, ranges[1:])), "row id ranges of data files overlap", sid)
        self.rule(all(a + n <= self.meta["next-row-id"] for a, n in ranges), "row ids beyond next-row-id", sid)

    def summary(self, s, parent, live):
        summary, sid = s["summary"], s["snapshot-id"]
        if "total-data-files" not in summary:
            self.rule("cdcd.position" not in summary, "a snapshot of ours without totals", sid)
            return
        rows = sum(d["record_count"] for d in live["data"].values())
        gone = sum(live["vectors"].values()) + sum(live["strays"])
        for key, value in (("total-data-files", len(live["data"])), ("total-records", rows),
                           ("total-delete-files", len(live["vectors"]) + len(live["strays"])), ("total-position-deletes", gone), ("total-equality-deletes", 0)):
            self.rule(int(summary.get(key, 0)) == value, "summary: " + key, sid, summary.get(key), value)

    # a manifest -----------------------------------------------------------------------------

    def entries(self, path):
        if path not in self.parsed:
            with open(local(path), "rb") as f:
                reader = fastavro.reader(f)
                self.parsed[path] = reader.metadata, list(reader)
            self.counts["manifests"] += 1
        return self.parsed[path]

    def manifest(self, s, m, live):
        where = os.path.basename(m["manifest_path"])
        head, entries = self.entries(m["manifest_path"])
        content = m["content"]
        ids = s["sequence-number"] >= self.lineage
        self.rule(head["format-version"] in (("3",) if m["sequence_number"] >= self.lineage else self.before), "manifest: version", where)
        self.rule(head["content"] == ("deletes" if content else "data"), "manifest: content", where)
        self.rule(int(head["partition-spec-id"]) == m["partition_spec_id"], "manifest: partition spec", where)
        self.rule(os.path.getsize(local(m["manifest_path"])) == m["manifest_length"], "manifest: length", where)
        self.rule(m["sequence_number"] <= s["sequence-number"], "manifest: newer than its snapshot", where)
        first = m.get("first_row_id")
        self.rule((first is not None) == (content == DATA and ids), "manifest: first row id", where)
        # A list also gives ids to manifests of the time before there were any.
        if first is not None and first >= s["first-row-id"]:
            live["added"] += m["existing_rows_count"] + m["added_rows_count"]
        files, rows, next_row, oldest = [0, 0, 0], [0, 0, 0], first, None
        for e in entries:
            d, status = e["data_file"], e["status"]
            files[status] += 1
            rows[status] += d["record_count"]
            # Others may give a file that they rewrote the sequence number of the rows in it.
            explicit = e["sequence_number"] is not None
            older = status == ADDED and explicit and not OWN.match(where) and e["sequence_number"] <= m["sequence_number"]
            self.rule(explicit == (status != ADDED) or older, "entry: explicit sequence number", where)
            sequence = m["sequence_number"] if e["sequence_number"] is None else e["sequence_number"]
            if status == DELETED:
                continue
            oldest = sequence if oldest is None else min(oldest, sequence)
            if content == DATA:
                next_row = self.data_file(d, sequence, m, next_row, live)
            else:
                self.deletes(s, d, sequence, m, live)
        self.rule(files == [m["existing_files_count"], m["added_files_count"], m["deleted_files_count"]], "manifest: file counts", where)
        self.rule(rows == [m["existing_rows_count"], m["added_rows_count"], m["deleted_rows_count"]], "manifest: row counts", where)
        self.rule(oldest is None or m["min_sequence_number"] == oldest, "manifest: min sequence number", where)

    def data_file(self, d, sequence, m, next_row, live):
        path, first = d["file_path"], d.get("first_row_id")
        if next_row is not None and first is None:
            first = next_row
            next_row += d["record_count"]
        if next_row is not None:
            live["ranges"].append((first, d["record_count"]))
        self.rule(d["content"] == DATA, "data file: content", path)
        self.rule(path not in live["data"], "a data file is listed twice", path)
        live["data"][path] = dict(d, sequence=sequence, spec=m["partition_spec_id"])
        if path not in self.parquet_rows:
            self.counts["files"] += 1
            self.parquet_rows[path] = parquet.ParquetFile(local(path)).metadata.num_rows
            self.rule(os.path.getsize(local(path)) == d["file_size_in_bytes"], "data file: size", path)
        self.rule(self.parquet_rows[path] == d["record_count"], "data file: record count", path)
        return next_row

    # a delete file --------------------------------------------------------------------------

    def deletes(self, s, d, sequence, m, live):
        target, where, kind = d.get("referenced_data_file"), d["file_path"], d["file_format"].upper()
        self.rule(d["content"] == 1, "delete file: not by position", where)
        if kind == "PARQUET" and "cdcd.position" not in s["summary"]:
            live["strays"].append(d["record_count"])  # of others, until a commit of ours follows
            return
        vectors = s["sequence-number"] >= self.lineage and sequence >= self.lineage
        self.rule(kind == ("PUFFIN" if vectors else "PARQUET"), "delete file: its kind is not that of its version", where)
        self.rule(d.get("first_row_id") is None, "delete file: it has a first row id", where)
        self.rule(target not in live["vectors"], "two delete files for a data file", target)
        live["vectors"][target] = d["record_count"]
        file = live["data"].get(target)
        self.rule(file is not None, "a delete file of no live data file", target)
        if file is None:
            return
        self.rule(file["partition"] == d["partition"] and file["spec"] == m["partition_spec_id"], "delete file: partition", where)
        self.rule(file["sequence"] <= sequence, "delete file: older than its data file", where)
        self.counts["vectors"] += 1
        if kind == "PUFFIN":
            self.vector(d, file)
        else:
            self.positions(d, file)

    def positions(self, d, file):
        target, where = d["referenced_data_file"], d["file_path"]
        bounds = [{b["key"]: b["value"] for b in d[k]}.get(PATH) for k in ("lower_bounds", "upper_bounds")]
        self.rule(bounds == [target.encode()] * 2, "positions: bounds of the path", where)
        self.rule(os.path.getsize(local(where)) == d["file_size_in_bytes"], "positions: size", where)
        read = parquet.read_table(local(where))
        ids = [int(f.metadata[b"PARQUET:field_id"]) for f in read.schema]
        self.rule(ids == [PATH, POS] and read.column_names == ["file_path", "pos"], "positions: columns", where)
        rows = read.column("pos").to_pylist()
        self.rule(set(read.column("file_path").to_pylist()) == {target}, "positions: another data file", where)
        self.rule(len(rows) == d["record_count"], "positions: record count", where)
        self.rule(all(a < b for a, b in zip(rows, rows[1:])), "positions: not in order", where)
        self.rule(not rows or 0 <= rows[0] and rows[-1] < file["record_count"], "positions: one beyond the file", where)

    # a deletion vector ----------------------------------------------------------------------

    def vector(self, d, file):
        target, where = d["referenced_data_file"], d["file_path"]
        with open(local(where), "rb") as f:
            raw = f.read()
        self.rule(len(raw) == d["file_size_in_bytes"], "puffin: size", where)
        self.rule(raw[:4] == b"PFA1" and raw[-4:] == b"PFA1", "puffin: magic", where)
        length = struct.unpack("<I", raw[-12:-8])[0]
        footer = json.loads(raw[-12 - length:-12])
        blobs = [b for b in footer["blobs"] if b["offset"] == d["content_offset"]]
        self.rule(len(blobs) == 1, "puffin: no blob at the offset", where)
        for b in blobs:
            self.blob(b, d, raw, target, file["record_count"])

    def blob(self, b, d, raw, target, rows):
        where = d["file_path"]
        self.rule(b["type"] == "deletion-vector-v1" and "compression-codec" not in b, "blob: type", where)
        self.rule(b["length"] == d["content_size_in_bytes"], "blob: length", where)
        self.rule(b["snapshot-id"] == -1 and b["sequence-number"] == -1, "blob: it names a snapshot", where)
        self.rule(b["properties"]["referenced-data-file"] == target, "blob: referenced data file", where)
        self.rule(int(b["properties"]["cardinality"]) == d["record_count"], "blob: cardinality", where)
        body = raw[b["offset"]:b["offset"] + b["length"]]
        self.rule(struct.unpack(">I", body[:4])[0] == len(body) - 8, "vector: length", where)
        self.rule(body[4:8] == bytes([0xD1, 0xD3, 0x39, 0x64]), "vector: magic", where)
        self.rule(zlib.crc32(body[4:-4]) == struct.unpack(">I", body[-4:])[0], "vector: checksum", where)
        bits = pyroaring.BitMap64.deserialize(body[8:-4])
        self.rule(len(bits) == d["record_count"], "vector: cardinality", where)
        self.rule(len(bits) == 0 or max(bits) < rows, "vector: a position beyond the file", where)


def main(warehouse):
    catalog = sqlite3.connect("file:%s/catalog.db?mode=ro" % warehouse, uri=True)
    found = catalog.execute("SELECT table_namespace, table_name FROM iceberg_tables ORDER BY 1, 2").fetchall()
    bad = not found
    for namespace, name in found:
        # Its present file: beside a writer one of before may be gone by now.
        location, = catalog.execute("SELECT metadata_location FROM iceberg_tables WHERE table_namespace = ? AND table_name = ?", (namespace, name)).fetchone()
        with open(local(location)) as f:
            t = Table("%s.%s" % (namespace, name), json.load(f))
        t.check()
        print(t.name, " ".join("%s=%d" % x for x in t.counts.items()), "ok" if not t.broken else "BROKEN")
        for line in t.broken:
            print("   ", line)
        bad = bad or bool(t.broken)
    return 1 if bad else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
