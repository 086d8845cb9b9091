"""Writes workbooks that are not plain tables: workbooks.py FOLDER"""
import datetime, sys
import openpyxl

out = sys.argv[1] + "/"
def book(rows, title=None):
    b = openpyxl.Workbook()
    other = b.active
    other.title = "Notes"
    other.merge_cells("A1:Z9")
    other["A10"] = "=1+1"
    sheet = b.create_sheet("Clients")
    for row in ([title] if title else []) + rows:
        sheet.append(row)
    return b, sheet

times = [datetime.time(8, 30), datetime.time(0, 0), datetime.time(23, 59), datetime.time(17, 20), datetime.time(8, 30)] * 4
rows = [["age", "at", "code", "left"]] + [[20 + i, t, "a" if i % 3 else "b", "yes" if i % 2 else "no"] for i, t in enumerate(times)]
b, sheet = book(rows)
b.save(out + "times.xlsx")

b, sheet = book(rows, title=["Customers of 2025"])
sheet.merge_cells("A1:D1")
b.save(out + "title.xlsx")

b, sheet = book(rows)
sheet.merge_cells("C2:C4")
sheet.merge_cells("C6:C7")
for i in range(2, 22):
    sheet[f"A{i}"] = f"=20+{i}"
b.save(out + "odd.xlsx")
