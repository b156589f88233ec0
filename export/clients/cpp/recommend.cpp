// Recommends with an exported P5 model whose item ids are texts: recommend MODEL.onnx ID...
//
// Neither built nor run by the tests of P5: the wheels of ONNX Runtime hold its library, but not its headers. With the
// release archive of ONNX Runtime (1.20 or later) unpacked in $ORT:
//
//     g++ -std=c++17 recommend.cpp -I$ORT/include -L$ORT/lib -lonnxruntime -Wl,-rpath,$ORT/lib -o recommend
//
// For integer ids, make the history with Ort::Value::CreateTensor<int64_t> and read the items with
// GetTensorData<int64_t>; the padding is the smallest int64.

#include <onnxruntime_cxx_api.h>

#include <cstdint>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "Usage: recommend MODEL.onnx ID...\n";
    return 2;
  }
  Ort::Env environment(ORT_LOGGING_LEVEL_WARNING, "p5");
  Ort::Session model(environment, argv[1], Ort::SessionOptions{});
  Ort::AllocatorWithDefaultOptions allocator;

  std::vector<const char*> ids(argv + 2, argv + argc);
  const int64_t shape[] = {1, static_cast<int64_t>(ids.size())};
  Ort::Value history = Ort::Value::CreateTensor(allocator, shape, 2, ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING);
  history.FillStringTensor(ids.data(), ids.size());

  int64_t k_value = 10;
  const int64_t k_shape[] = {1};
  auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  Ort::Value k = Ort::Value::CreateTensor<int64_t>(memory, &k_value, 1, k_shape, 1);

  const char* inputs[] = {"history", "k"};
  const char* outputs[] = {"items", "scores"};
  Ort::Value given[] = {std::move(history), std::move(k)};
  auto answer = model.Run(Ort::RunOptions{}, inputs, given, 2, outputs, 2);

  const size_t n = answer[0].GetTensorTypeAndShapeInfo().GetElementCount();
  const float* scores = answer[1].GetTensorData<float>();
  for (size_t place = 0; place < n; ++place) {
    const std::string item = answer[0].GetStringTensorElement(place);
    if (!item.empty()) std::cout << item << '\t' << scores[place] << '\n';
  }
}
