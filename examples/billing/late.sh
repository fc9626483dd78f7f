# A night on which a total is late: `late.sh invoices.csv`. It comes in while the job fails for want of it.
here=$(dirname "$0")
python3 "$here/bill.py" "$1" && exit
code=$?
sed -i.bak 's/^1003,Initech,$/1003,Initech,99.50/' "$1"
exit $code
