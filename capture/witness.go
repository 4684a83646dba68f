package capture

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Witness is an applied transaction of MySQL, with what tells it from another one that a server
// gives its GTID: after a reset of its log a server counts anew. The zero value is none.
type Witness struct {
	GTID GTID
	// Committed is when it was committed where it began, in microseconds. Replicas keep it.
	Committed time.Time
}

// IsZero reports that there is no Witness.
func (w Witness) IsZero() bool { return w.Committed.IsZero() }

// String renders w as ParseWitness reads it: the GTID, and the microseconds since 1970.
func (w Witness) String() string {
	return fmt.Sprintf("%s@%d", w.GTID.Text(MySQL), w.Committed.UnixMicro())
}

// ParseWitness reads what String prints.
func ParseWitness(s string) (Witness, error) {
	name, stamp, _ := strings.Cut(s, "@")
	us, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return Witness{}, fmt.Errorf("%q is not a GTID and a time", s)
	}
	p, err := ParsePosition(MySQL, name)
	if err != nil {
		return Witness{}, err
	}
	if len(p.sources) != 1 {
		return Witness{}, fmt.Errorf("%q is not one transaction", s)
	}
	one := p.sources[0]
	w := Witness{GTID: GTID{SID: one.sid, Tag: one.tag, Number: one.set[0].lo}, Committed: time.UnixMicro(us)}
	if w.GTID.Text(MySQL) != name {
		return Witness{}, fmt.Errorf("%q is not one transaction", s)
	}
	return w, nil
}
