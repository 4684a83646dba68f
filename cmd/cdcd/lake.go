package main

import (
	"context"
	"errors"
	"fmt"

	"cdcd/capture"
	"cdcd/cmd/cdcd/config"
	"cdcd/table"
	"cdcd/table/fileio"
	"cdcd/table/keyring"
	"cdcd/table/s3store"
)

// lakehouse is a catalog with the store that the tables' files are in.
type lakehouse struct {
	table.Lake
	store fileio.Store
}

// tables is what a pipeline's tables are opened with.
func (l *lakehouse) tables(pipeline string) table.Config {
	return table.Config{Catalog: l.Lake, Store: l.store, Pipeline: pipeline}
}

// openLake opens the lake's store and catalog. With create the catalog is made where there
// is none.
func openLake(ctx context.Context, c config.Config, create bool) (*lakehouse, error) {
	if c.Catalog.VendedCredentials {
		return openVended(ctx, c)
	}
	store, err := openStore(ctx, c.Warehouse, nil)
	if err != nil {
		return nil, err
	}
	lake, err := openCatalog(ctx, c, create)
	if errors.Is(err, table.ErrNoCatalog) {
		return nil, coded{exitLater, fmt.Errorf("%w: cdcd run makes it", err)}
	}
	if err != nil {
		return nil, err
	}
	return &lakehouse{lake, store}, nil
}

// openVended opens a catalog that hands out the credentials of the store, and so comes first.
// The control table is looked at, for what is the pipeline's own is at its location.
func openVended(ctx context.Context, c config.Config) (*lakehouse, error) {
	lake, err := table.OpenREST(ctx, restConfig(c))
	if err != nil {
		return nil, err
	}
	store, err := openStore(ctx, c.Warehouse, lake.Keyring())
	if err == nil {
		_, _, _, err = lake.Metadata(ctx, controlName(c))
	}
	if err != nil {
		return nil, errors.Join(err, lake.Close())
	}
	return &lakehouse{lake, store}, nil
}

// beside gives the location below which a pipeline keeps what is its own and in no table:
// that of the warehouse. Credentials that are handed out are good for tables only, and so it
// then is that of the control table.
func (l *lakehouse) beside(c config.Config) string {
	if c.Catalog.VendedCredentials {
		return l.Location(controlName(c))
	}
	return c.Warehouse.Location
}

// readerDefaults tells readers where the files are, but for the credentials.
func readerDefaults(w config.Warehouse) map[string]string {
	out := map[string]string{}
	if w.S3.Endpoint != "" {
		out["s3.endpoint"] = w.S3.Endpoint
	}
	if w.S3.Region != "" {
		out["s3.region"], out["client.region"] = w.S3.Region, w.S3.Region
	}
	if w.S3.PathStyle {
		out["s3.path-style-access"] = "true"
	}
	return out
}

// openStore opens the store of the warehouse, for the catalogs too. The vendor of its
// credentials may be nil.
func openStore(ctx context.Context, w config.Warehouse, vendor *keyring.Ring) (fileio.Store, error) {
	if !w.InS3() {
		return fileio.Disk{}, nil // the catalogs know it
	}
	at := s3store.Config{Endpoint: w.S3.Endpoint, Region: w.S3.Region, PathStyle: w.S3.PathStyle}
	if vendor != nil {
		at.Vendor = vendor
	}
	s, err := s3store.Open(ctx, at)
	if err != nil {
		return nil, err
	}
	fileio.Register(s3store.Scheme, s)
	return s, nil
}

func openCatalog(ctx context.Context, c config.Config, create bool) (table.Lake, error) {
	at := c.Catalog
	switch at.Type {
	case config.CatalogJDBC:
		return interfaced(table.OpenJDBC(ctx, table.JDBCConfig{URI: at.URI.Reveal(), Name: at.Name, Location: c.Warehouse.Location, Create: create}))
	case config.CatalogREST:
		return interfaced(table.OpenREST(ctx, restConfig(c)))
	}
	return interfaced(table.OpenEmbedded(c.Warehouse.Location, create))
}

func restConfig(c config.Config) table.RESTConfig {
	at := c.Catalog
	return table.RESTConfig{
		URI: at.URI.Reveal(), Warehouse: at.Warehouse, Credential: at.Credential.Reveal(), TokenURI: at.TokenURI,
		Scope: at.Scope, Token: at.Token.Reveal(), Location: c.Warehouse.Location, Vended: at.VendedCredentials,
	}
}

// interfaced keeps a nil pointer out of an interface.
func interfaced[L table.Lake](lake L, err error) (table.Lake, error) {
	if err != nil {
		return nil, err
	}
	return lake, nil
}

// foreignCatalog reports a catalog that is not ours, and so may not keep what commits rest on.
func foreignCatalog(c config.Config) bool { return c.Catalog.Type != config.CatalogEmbedded }

// probe tries a foreign catalog before the pipeline's first write to it.
func (d *daemon) probe(ctx context.Context, lake *lakehouse) error {
	if !foreignCatalog(d.cfg) {
		return nil
	}
	heads, err := lakeTables(ctx, lake, d.cfg.Pipeline)
	if err != nil || len(heads) > 0 {
		return err
	}
	d.logger.Info("trying the catalog", "type", d.cfg.Catalog.Type, "uri", d.cfg.Catalog.URI.String())
	return lake.probe(ctx, d.cfg)
}

// probe tries the store and the catalog.
func (l *lakehouse) probe(ctx context.Context, c config.Config) error {
	if c.Catalog.VendedCredentials {
		return table.ProbeVended(ctx, l, l.store)
	}
	if err := fileio.Probe(ctx, l.store, c.Warehouse.Location); err != nil {
		return err
	}
	return table.Probe(ctx, l, l.store)
}

// checkCatalog tries a foreign catalog. What keeps it from being used is among the problems.
func checkCatalog(ctx context.Context, c config.Config) ([]capture.Problem, error) {
	if !foreignCatalog(c) {
		return nil, nil
	}
	lake, err := openLake(ctx, c, true)
	if err == nil {
		err = errors.Join(lake.probe(ctx, c), lake.Close())
	}
	switch {
	case errors.Is(err, table.ErrCatalogUnfit):
		return []capture.Problem{{What: err.Error(), Repair: "catalog: {type: embedded}"}}, nil
	case errors.Is(err, keyring.ErrNone):
		return []capture.Problem{{What: keyring.ErrNone.Error(), Repair: "let the catalog vend to this client, or catalog: {vended_credentials: false}"}}, nil
	case errors.Is(err, fileio.ErrAccess), errors.Is(err, fileio.ErrUnfit):
		return []capture.Problem{{What: err.Error(), Repair: "warehouse: {location: ..., s3: {endpoint: ...}}"}}, nil
	case errors.Is(err, table.ErrCatalogAccess):
		return []capture.Problem{{What: err.Error()}}, nil
	}
	return nil, err
}
