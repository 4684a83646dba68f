package main

import (
	"fmt"

	"cdcd/cmd/cdcd/config"
	"cdcd/table"
)

// storageOf gives what the configuration says of how a table's rows are kept.
func storageOf(c config.Config, target config.Target) table.Storage {
	rule := c.Tables[target.Rule]
	s := table.Storage{
		Properties: rule.Properties, NoLineage: rule.Lineage == config.LineageOff,
		TargetFileSize: int64(rule.TargetFileSize), Place: fmt.Sprintf("tables[%d]", target.Rule),
	}
	for _, t := range rule.Partition {
		s.Partition = append(s.Partition, table.PartitionField{Transform: t.Name, Width: t.Width, Column: t.Column})
	}
	return s
}
