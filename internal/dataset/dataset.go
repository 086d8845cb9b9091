// Package dataset reads customers from CSV into typed columns, by a schema that
// is data and not code. It holds the only definitions of what a valid value is,
// how a cell is cleaned, and how a column is summarised; every step uses them.
//
// A file is UTF-8 text as RFC 4180 has it: commas, quotes where a cell needs
// them, one header line, columns in any order:
//
//	tenure_months,num_complaints,avg_session_minutes,plan_type,region,churn
//	6,3,21.50,basic,AF,1
//
// An empty cell is missing. No other text is, the text NA included, unless the
// schema names it.
//
// The package knows nothing of models: how rows become the numbers that a model
// is fitted to is package model's business.
package dataset
