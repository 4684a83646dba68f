package main

import (
	"fmt"
)

// readerLines gives, for each engine, what to paste. The versions are those that the lines
// were tried with.
func readerLines(catalog string) []struct{ name, lines string } {
	uri := "http://" + catalog
	return []struct{ name, lines string }{
		{"Spark 4.1", fmt.Sprintf(`spark-sql --packages org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.12.0 --conf spark.sql.catalogImplementation=in-memory \
  --conf spark.sql.catalog.lake=org.apache.iceberg.spark.SparkCatalog \
  --conf spark.sql.catalog.lake.type=rest --conf spark.sql.catalog.lake.uri=%s \
  -e "SELECT status, count(*), sum(total) FROM lake.%s.orders GROUP BY status"`, uri, lakeNamespace)},
		{"Trino 483: etc/catalog/lake.properties, then a query", fmt.Sprintf(`connector.name=iceberg
iceberg.catalog.type=rest
iceberg.rest-catalog.uri=%s
fs.local.enabled=true
local.location=/

trino --catalog lake --execute "SELECT status, count(*), sum(total) FROM %s.orders GROUP BY status"`, uri, lakeNamespace)},
		{"DuckDB 1.5", fmt.Sprintf(`duckdb -c "INSTALL iceberg; LOAD iceberg;
  ATTACH '' AS lake (TYPE iceberg, ENDPOINT '%s', AUTHORIZATION_TYPE 'none');
  SELECT status, count(*), sum(total) FROM lake.%s.orders GROUP BY status"`, uri, lakeNamespace)},
		{"PyIceberg 0.12: pip install 'pyiceberg[pyarrow]'", fmt.Sprintf(`python3 -c "
from pyiceberg.catalog import load_catalog
orders = load_catalog('lake', type='rest', uri='%s').load_table('%s.orders').scan().to_arrow()
print(orders.group_by('status').aggregate([('id', 'count'), ('total', 'sum')]).to_pylist())"`, uri, lakeNamespace)},
	}
}
