package main

import (
	"fmt"
	"strings"
)

// readerLines gives, for each engine, what to paste. The versions are those that the lines
// were tried with; in S3 only those of PyIceberg and DuckDB were. endpoint is that of S3; empty:
// the files are on disk.
func readerLines(catalog, endpoint string) []struct{ name, lines string } {
	uri := "http://" + catalog
	s := inS3(endpoint)
	return []struct{ name, lines string }{
		{"Spark 4.1", fmt.Sprintf(`spark-sql --packages org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.12.0%s --conf spark.sql.catalogImplementation=in-memory \
  --conf spark.sql.catalog.lake=org.apache.iceberg.spark.SparkCatalog \
  --conf spark.sql.catalog.lake.type=rest --conf spark.sql.catalog.lake.uri=%s%s \
  -e "SELECT status, count(*), sum(total) FROM lake.%s.orders GROUP BY status"`, s.sparkPackage, uri, s.spark, lakeNamespace)},
		{"Trino 483: etc/catalog/lake.properties, then a query", fmt.Sprintf(`connector.name=iceberg
iceberg.catalog.type=rest
iceberg.rest-catalog.uri=%s
%s

trino --catalog lake --execute "SELECT status, count(*), sum(total) FROM %s.orders GROUP BY status"`, uri, s.trino, lakeNamespace)},
		{"DuckDB 1.5", fmt.Sprintf(`duckdb -c "INSTALL iceberg; LOAD iceberg;%s
  ATTACH '' AS lake (TYPE iceberg, ENDPOINT '%s', AUTHORIZATION_TYPE 'none');
  SELECT status, count(*), sum(total) FROM lake.%s.orders GROUP BY status"`, s.duckdb, uri, lakeNamespace)},
		{"PyIceberg 0.12: pip install 'pyiceberg[pyarrow]'", fmt.Sprintf(`python3 -c "
from pyiceberg.catalog import load_catalog
orders = load_catalog('lake', type='rest', uri='%s'%s).load_table('%s.orders').scan().to_arrow()
print(orders.group_by('status').aggregate([('id', 'count'), ('total', 'sum')]).to_pylist())"`, uri, s.pyiceberg, lakeNamespace)},
	}
}

// storeLines is what the engines are told of the store.
type storeLines struct{ sparkPackage, spark, trino, duckdb, pyiceberg string }

func inS3(endpoint string) storeLines {
	if endpoint == "" {
		return storeLines{trino: "fs.local.enabled=true\nlocal.location=/"}
	}
	var spark strings.Builder
	for _, p := range []string{
		"io-impl=org.apache.iceberg.aws.s3.S3FileIO", "s3.endpoint=" + endpoint, "s3.path-style-access=true",
		"s3.access-key-id=" + s3Account, "s3.secret-access-key=" + s3Secret, "client.region=" + s3Region,
	} {
		fmt.Fprintf(&spark, " \\\n  --conf spark.sql.catalog.lake.%s", p)
	}
	return storeLines{
		sparkPackage: ",org.apache.iceberg:iceberg-aws-bundle:1.12.0",
		spark:        spark.String(),
		trino: fmt.Sprintf("fs.native-s3.enabled=true\ns3.endpoint=%s\ns3.region=%s\ns3.path-style-access=true\ns3.aws-access-key=%s\ns3.aws-secret-key=%s",
			endpoint, s3Region, s3Account, s3Secret),
		duckdb: fmt.Sprintf("\n  CREATE SECRET (TYPE s3, KEY_ID '%s', SECRET '%s', REGION '%s', ENDPOINT '%s', URL_STYLE 'path', USE_SSL false);",
			s3Account, s3Secret, s3Region, strings.TrimPrefix(endpoint, "http://")),
		pyiceberg: fmt.Sprintf(", **{'s3.endpoint': '%s', 's3.access-key-id': '%s', 's3.secret-access-key': '%s', 's3.region': '%s'}", endpoint, s3Account, s3Secret, s3Region),
	}
}
