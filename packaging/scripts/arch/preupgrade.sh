
thaw
