package table

import "testing"

func TestMetadataVersion(t *testing.T) {
	for location, want := range map[string]int{
		"file:///w/shop/orders/metadata/00000-3e11fa47-71ca-11e1-9e33-c80aa9429562.metadata.json":   0,
		"s3://b/w/orders/metadata/00041-3e11fa47-71ca-11e1-9e33-c80aa9429562.metadata.json":         41,
		"s3://b/w/orders/metadata/123456-3e11fa47-71ca-11e1-9e33-c80aa9429562.metadata.json":        123456,
		"s3://b/w/orders/metadata/00041-3e11fa47-71ca-11e1-9e33-c80aa9429562.gz.metadata.json.gz":   -1,
		"s3://b/w/orders/metadata/v41.metadata.json":                                                -1,
		"s3://b/w/orders/metadata/-3e11fa47.metadata.json":                                          -1,
		"s3://b/w/orders/metadata/+1-3e11fa47-71ca-11e1-9e33-c80aa9429562.metadata.json.something/": -1,
	} {
		if version, ok := metadataVersion(location); ok != (want >= 0) || ok && version != want {
			t.Errorf("%s: version %d, %v", location, version, ok)
		}
	}
}

// TestCommitKnowsItsMetadata commits twice and looks that the second commit read nothing, and
// that a commit of somebody else is seen.
func TestCommitKnowsItsMetadata(t *testing.T) {
	l := openLab(t)
	l.write(row{id: 1, val: "a"})
	h := l.load()
	if known := l.cat.known.get(testName()); known.location != h.location {
		t.Errorf("known is %q, the table is at %q", known.location, h.location)
	}
	other, err := OpenEmbedded("file://"+l.dir+"/warehouse", false)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	own := l.cat
	l.cat = other
	l.foreignSnapshot("replace")
	l.cat = own
	if err := l.table.Refresh(t.Context(), l.load()); err != nil {
		t.Fatal(err)
	}
	l.write(row{id: 2, val: "b"})
	if got := l.read(); len(got) != 2 {
		t.Errorf("rows %v", got)
	}
}
