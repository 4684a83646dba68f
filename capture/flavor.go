package capture

// Flavor tells the two families of servers apart. Their binlogs share the row format but
// not the transaction ids, and a Position of one means nothing to the other.
type Flavor uint8

// The flavors.
const (
	MySQL Flavor = iota
	MariaDB
)

// String gives the flavor's name as operators know it.
func (f Flavor) String() string {
	if f == MariaDB {
		return "MariaDB"
	}
	return "MySQL"
}
