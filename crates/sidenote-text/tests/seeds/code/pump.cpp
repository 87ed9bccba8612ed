#include <vector>
namespace pump { template <typename T> class Price : public Base { public: T cents() const { return [this] { return c; }(); } private: T c{}; }; }
int main() { std::vector<int> v{1, 2}; return v.at(0); }
